/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest guest: entered by PVH (32-bit, as Xen's public/arch-x86/hvm/start_info.h has it), says
 * MESSAGE on the serial port, then resets the machine or waits for ever. */
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
  hlt
  jmp end

  .align 8
nothing:
  .word 0
  .long 0
text:
  .ascii MESSAGE
  .asciz "\n"
