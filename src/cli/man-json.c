/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What banger(1) says of the JSON of each command. */
#include "help.h"

static const BangerManJson objects[] = {
  { "vm list",
    "vms: an array of VMs, each with id, name, owner_uid, state, health, image, image_id, kernel, "
    "kernel_id, backend, accelerator, vcpus, memory_bytes, disk_bytes, work_bytes, root, network, "
    "addresses and published (arrays), labels (an object), restart, restarts, autostart, pending "
    "(an array of keys of 'vm set' that need a restart), last_exit, boot_stage, next_start_at, "
    "created_at, started_at. image and kernel are null if they are gone; root, network, restart, "
    "last_exit and boot_stage if there is nothing to say." },
  { "vm show, vm create, vm rename",
    "one VM as in 'vm list'. Of one that failed also failure, an error as below, failed_at and "
    "console_tail, the last of what its guest wrote." },
  { "vm start, vm stop, vm restart, vm pause, vm resume, vm kill, vm delete",
    "vms: an array of those that it was about, in their order, each with id, name, job (its id), "
    "duration_us (null where nobody waited), state (as it is at the end; null of what has gone), "
    "ended_by (what ended the guest: guest, button, vmm, kill; null where nothing did), error." },
  { "image delete, kernel delete",
    "images or kernels: an array as that of 'vm delete', without ended_by." },
  { "vm set",
    "changes: an array of objects with vm, key, old, new (text) and when: now, next-start, "
    "needs-restart or unchanged; dry_run; vms: an array as that of 'vm start'." },
  { "vm health",
    "health, init, agent_version, stages (each with stage and at_us, since the guest's kernel "
    "began), problems (an array)." },
  { "vm ports",
    "ports: an array of objects with port, listening, address, pid, command (null and 0 where "
    "nothing listens), published (an array of ADDR:PORT of the host)." },
  { "vm top", "processes: an array of objects with pid, ppid, user, uid, state, cpu_us, rss_bytes, "
              "started_us (since the guest's kernel began), command." },
  { "vm stats",
    "vms: an array of objects with name, id, cpu_us and, where it is known, "
    "memory_resident_bytes, disk_allocated_bytes, monitor_resident_bytes, disk_read_bytes, "
    "disk_written_bytes; of a guest that answers guest_memory_total_bytes, "
    "guest_memory_available_bytes, guest_disk_total_bytes, guest_disk_free_bytes, "
    "guest_work_total_bytes, guest_work_free_bytes, guest_commands, guest_streams, guest_load, "
    "guest_uptime_us. With --watch such an object on each line, with at and, from the second one "
    "of a VM on, cpu_percent." },
  { "image list, image show, image import, image rename, image share, image unshare, image promote",
    "images: an array of images, or one: id, name, owner_uid, shared, default, state, rootfs_path, "
    "defaults (an object with user, cwd, env), size_bytes, allocated_bytes, entries (names that it "
    "held when it was imported; 0: not known), digest, edited_at (null: as it was imported), "
    "created_at." },
  { "image ls, image stat",
    "files: an array of objects, each with step, name (of image ls relative to the directory) or "
    "name_base64 where it is no UTF-8, type (file, directory, symlink, block, character, fifo, "
    "socket), mode (four octal digits), uid, gid, size, mtime, mtime_nsec, links, target or "
    "target_base64 of a link, rdev of a device, xattrs (an object, values in base64)." },
  { "image mkdir, image rm, image chown, image chmod, image edit",
    "object_kind (image or vm), id, name, steps_done." },
  { "kernel list, kernel show, kernel import, kernel rename, kernel share, kernel unshare, "
    "kernel promote",
    "kernels: an array of kernels, or one: id, name, owner_uid, shared, default, state, release, "
    "size_bytes, allocated_bytes, digest, capabilities (an array), facts (an object), "
    "created_at." },
  { "job list, job show",
    "jobs: an array of jobs, or one: id, kind, object_kind, object_id, object_name (when it "
    "began), object (in "
    "lists, as people see it), state, stage, progress (0 to 1, or null), started_by_uid, "
    "cancelable, timings (each "
    "with stage, began_at, duration_us), notes (an array), result (an object, such as with "
    "ended_by "
    "of a stop: guest, button, vmm, kill), error." },
  { "job cancel", "jobs: an array of those named, each with id, state, error." },
  { "status",
    "version, protocol, service_version, service_protocol, bus, vms, vms_running, default_image, "
    "default_kernel, backends (each with name, usable, accelerator, version), capacity: an object "
    "with cpus, memory_total_bytes, memory_available_bytes, memory_used_by_vms_bytes, "
    "disk_total_bytes, disk_available_bytes, limit_vms, limit_vcpus, limit_memory_bytes, "
    "limit_disk_bytes (0: no limit), used_vms, used_vcpus, used_memory_bytes, used_disk_bytes." },
  { "version",
    "version, protocol, bus, and service_version and service_protocol, null if it does not run." },
  { "doctor",
    "errors, warnings (numbers), findings: an array of objects with id, status (ok, warning, "
    "error), found, why, fix, version, accelerator, capabilities." },
  { "monitor",
    "a document on each line: event (added, removed, changed, job-finished, service-started, "
    "service-ended), at; of an object object_kind, object_id, object_name; of added and changed "
    "properties, an object with those of the bus API in snake_case; of job-finished kind, "
    "target_name, result, "
    "error." },
  { "help",
    "version, options, commands (each with name, usage, summary, details, options, columns, "
    "shorthands), exit_statuses (each with status, meaning). An option has name, letter, type, "
    "repeatable, value, summary." },
  { NULL, NULL },
};

const BangerManJson *
banger_help_man_json (void)
{
  return objects;
}
