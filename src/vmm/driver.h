/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM driver: it starts one VMM as a child of this process, with descriptors instead of paths,
 * and brings streams to the guest's agent. One guest a process: a driver is made once.
 *
 * What only some VMMs can do is a capability; the monitor asks for it, never for a driver's name.
 */
#pragma once

#include "machine.h"

#include "wire/handshake.h"

typedef enum {
  /* What the guest discards on its disks is given back to the host's file system. */
  BANGER_CAPABILITY_DISCARD = 1 << 0,
  /* A disk can grow while the guest runs. */
  BANGER_CAPABILITY_DISK_GROW = 1 << 1,
} BangerCapabilities;

/* Called from the main loop. */
typedef struct {
  /* The guest's CPUs run. */
  void (*running) (gpointer data, const char *accelerator);
  /* The guest has opened its end of the transport (again, after its agent was restarted). */
  void (*reachable) (gpointer data);
  /* What the guest wrote to its console. */
  void (*console) (gpointer data, const guint8 *bytes, gsize length);
  /* The guest's console takes input again after write_console took less than it was given. */
  void (*console_writable) (gpointer data);
  /* The VMM has ended and was reaped, with @status as of waitpid(2); @error where that is a fault.
   * The last call; before @running the start has failed. */
  void (*exited) (gpointer data, BangerExitReason reason, int status, const GError *error);
} BangerDriverEvents;

typedef struct BangerDriver BangerDriver;

/* What the guest did with its disks since its start. */
typedef struct {
  guint64 read_bytes;
  guint64 written_bytes;
} BangerDiskUse;

/* The functions whose names end in _async return a GTask. Where nothing else is said its result is
 * a boolean, and it ends with an error at the latest when the VMM does. */
typedef struct {
  const char *name;
  BangerCapabilities capabilities;
  /* Takes over @machine's disks for reading and writing; @machine, @key and @events outlive the
   * driver. */
  BangerDriver *(*start) (const BangerMachine *machine, const guint8 *key,
                          const BangerDriverEvents *events, gpointer data, GError **error);
  /* Connects to the guest's agent: a GTask whose result is a descriptor, for
   * g_task_propagate_int(), or the error GuestUnreachable. Its handshake, which tells the port, is
   * still to be done. */
  void (*open_stream_async) (BangerDriver *driver, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer data);
  /* Stops the guest's CPUs, and lets them go on. */
  void (*pause_async) (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data);
  void (*resume_async) (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data);
  void (*press_power_button) (BangerDriver *driver);
  /* Makes the disk of serial @disk (that is larger then) and its file @bytes long. */
  void (*grow_disk_async) (BangerDriver *driver, const char *disk, guint64 bytes,
                           GAsyncReadyCallback callback, gpointer data);
  /* A BangerDiskUse, for g_task_propagate_pointer() and g_free(). */
  void (*disk_use_async) (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data);
  /* Types into the guest's console: how many bytes were taken. */
  gsize (*write_console) (BangerDriver *driver, const guint8 *bytes, gsize length);
  /* Asks the VMM to end; FALSE if it takes no commands. */
  gboolean (*quit) (BangerDriver *driver);
  void (*kill) (BangerDriver *driver);
  /* The VMM's process; 0 once it was reaped. */
  GPid (*pid) (BangerDriver *driver);
  void (*free) (BangerDriver *driver);
} BangerDriverClass;

struct BangerDriver {
  const BangerDriverClass *klass;
  struct BangerStreamGate *gate; /* stream.c's; NULL while no stream is being opened */
};

extern const BangerDriverClass banger_qemu_driver;
