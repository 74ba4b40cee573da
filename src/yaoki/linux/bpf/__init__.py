"""The kernel's BPF: the balancer's program in C, and what builds, loads, fills and tries it.

`build` compiles `*.bpf.c` by clang and `object` loads what came of it by libbpf; everything else is the bpf(2) system
call: `syscall`, `maps`, `program`. `layout` mirrors the structures of `tables.h`, `tables` are the maps by what they
hold, `services` renders virtual services as entries, `self_test` tries the program in this kernel. `plane` is the
balancer plane, on `hooks` (tcx), `installation` (found again, or loaded), `records`, `seating` and `refusal`.
"""
