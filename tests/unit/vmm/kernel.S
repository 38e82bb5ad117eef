/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest guest: entered by PVH (32-bit, as Xen's public/arch-x86/hvm/start_info.h has it), says
 * MESSAGE on the serial port, then resets the machine, obeys the power button, says back what it is
 * told, or waits for ever. */
  .section .note.Xen, "a", @note
  .long 4, 4, 18
  .asciz "Xen"
  .long entry

  .text
  .code32
  .globl entry
entry:
  mov $text, %esi
say:
  lodsb
  test %al, %al
  jz end
  mov $0x3f8, %dx
  out %al, %dx
  jmp say
end:
#ifdef RESET
  lidt nothing
  int3
#endif
#ifdef BUTTON
  /* ACPI's generic event device (QEMU: include/hw/i386/microvm.h, hw/acpi/generic_event_device.h) */
  testl $2, 0xfea00000
  jz end
  movb $0x34, 0xfea00200
#elif defined ECHO
  mov $0x3fd, %dx
  in %dx, %al
  test $1, %al
  jz end
  mov $0x3f8, %dx
  in %dx, %al
  out %al, %dx
  jmp end
#endif
  hlt
  jmp end

  .align 8
nothing:
  .word 0
  .long 0
text:
  .ascii MESSAGE
  .asciz "\n"
