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
} BangerCapabilities;

/* Called from the main loop. */
typedef struct {
  /* The guest's CPUs run. */
  void (*running) (gpointer data, const char *accelerator);
  /* The guest has opened its end of the transport (again, after its agent was restarted). */
  void (*reachable) (gpointer data);
  /* What the guest wrote to its console. */
  void (*console) (gpointer data, const guint8 *bytes, gsize length);
  /* The VMM has ended and was reaped, with @status as of waitpid(2); @error where that is a fault.
   * The last call; before @running the start has failed. */
  void (*exited) (gpointer data, BangerExitReason reason, int status, const GError *error);
} BangerDriverEvents;

typedef struct BangerDriver BangerDriver;

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
  /* Ends the VMM: asks it to, and kills it if it does not obey at once. */
  void (*kill) (BangerDriver *driver);
  /* The VMM's process; 0 once it was reaped. */
  GPid (*pid) (BangerDriver *driver);
  void (*free) (BangerDriver *driver);
} BangerDriverClass;

struct BangerDriver {
  const BangerDriverClass *klass;
};

extern const BangerDriverClass banger_qemu_driver;
