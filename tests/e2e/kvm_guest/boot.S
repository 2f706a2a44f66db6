# A whole guest in one boot sector, for what is tested with KVM itself on machines whose KVM runs little more than
# this: the command line, dirty logging, and the state of the CPU over a suspend or a migration.
#
# Once per timer tick (18.2 per second) it makes a round: it checks that the first and the last double word of every
# 4 KiB page of the 512 KiB at 0x10000 hold the number of the round before, and writes there that of this round.
# About once a second it prints "count N" on COM1, N growing by one, so that a lost or repeated line shows.
# A wrong cell ends it with "STALE page PP found XXXXXXXX expected XXXXXXXX" (hexadecimal).
#
# Registers: ebp round before, edi lines printed, bx tick of the last line. Nothing else survives a round.

    .code16
    .intel_syntax noprefix
    .set FIRST_SEGMENT, 0x1000
    .set END_SEGMENT, 0x9000
    .set PAGE_SEGMENTS, 0x100
    .set LAST_CELL, 0xffc
    .set BIOS_TICKS, 0x46c
    .set TICKS_PER_LINE, 18
    .set COM1, 0x3f8
    .set COM1_STATUS, 0x3fd

    .global start
start:
    ljmp 0, offset real_start
real_start:
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    xor ebp, ebp
    xor edi, edi
    mov bx, [BIOS_TICKS]
    mov si, offset hello
    call print_text

    mov dx, FIRST_SEGMENT
fill:
    mov es, dx
    mov es:[0], ebp
    mov es:[LAST_CELL], ebp
    add dx, PAGE_SEGMENTS
    cmp dx, END_SEGMENT
    jb fill

round:
    mov dx, FIRST_SEGMENT
page:
    mov es, dx
    mov eax, es:[0]
    cmp eax, ebp
    jne stale
    mov eax, es:[LAST_CELL]
    cmp eax, ebp
    jne stale
    inc eax
    mov es:[0], eax
    mov es:[LAST_CELL], eax
    add dx, PAGE_SEGMENTS
    cmp dx, END_SEGMENT
    jb page
    inc ebp

    mov ax, [BIOS_TICKS]
    sub ax, bx
    cmp ax, TICKS_PER_LINE
    jb rest
    add bx, ax
    inc edi
    mov si, offset count
    call print_text
    mov eax, edi
    call print_decimal
    call print_newline
rest:
    hlt
    jmp round

stale:
    push eax
    mov si, offset stale_page
    call print_text
    mov eax, edx
    sub eax, FIRST_SEGMENT
    shl eax, 16
    mov cx, 2
    call print_hex
    mov si, offset found
    call print_text
    pop eax
    mov cx, 8
    call print_hex
    mov si, offset expected
    call print_text
    mov eax, ebp
    mov cx, 8
    call print_hex
    call print_newline
end:
    cli
    hlt
    jmp end

# Prints al. Changes nothing.
print_char:
    push dx
    push ax
    mov dx, COM1_STATUS
wait_for_room:
    in al, dx
    test al, 0x20
    jz wait_for_room
    pop ax
    mov dx, COM1
    out dx, al
    pop dx
    ret

# Prints the text at ds:si up to a NUL. Changes si, al.
print_text:
    lodsb
    test al, al
    jz text_end
    call print_char
    jmp print_text
text_end:
    ret

print_newline:
    mov si, offset newline
    jmp print_text

# Prints eax. Changes eax, ecx, edx.
print_decimal:
    xor edx, edx
    mov ecx, 10
    div ecx
    push dx
    test eax, eax
    jz decimal_digit
    call print_decimal
decimal_digit:
    pop ax
    add al, '0'
    jmp print_char

# Prints the cx highest hexadecimal digits of eax. Changes eax, cx.
print_hex:
    rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    jb hex_digit
    add al, 'a' - '0' - 10
hex_digit:
    add al, '0'
    call print_char
    pop eax
    loop print_hex
    ret

hello:      .asciz "kz-kvm-guest: up\r\n"
count:      .asciz "count "
stale_page: .asciz "STALE page "
found:      .asciz " found "
expected:   .asciz " expected "
newline:    .asciz "\r\n"

    .org 510
    .word 0xaa55
