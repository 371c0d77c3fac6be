//! Classic BPF as `seccomp(2)` and `SO_ATTACH_FILTER` take it: checked once, then interpreted.

use abi::{Errno, process::*};

/// What a program looks at.
pub trait Input {
    /// How many bytes there are.
    fn size(&self) -> u32;
    /// 1, 2 or 4 bytes at `offset` as a number; `None` ends the program.
    fn load(&self, offset: u32, bytes: u32) -> Option<u32>;
}

impl Input for SeccompData {
    fn size(&self) -> u32 {
        DATA_LEN
    }
    fn load(&self, offset: u32, _: u32) -> Option<u32> {
        Some(word(self, offset))
    }
}

/// A program that was checked.
pub struct Program(Box<[SockFilter]>);

/// Bytes of what a filter sees.
const DATA_LEN: u32 = 64;

impl Program {
    /// Checks a program; `EINVAL` for what seccomp does not run. Scratch memory is zero at first, where Linux refuses programs
    /// that read it before they write it.
    pub fn new(instructions: Vec<SockFilter>) -> Result<Self, Errno> {
        Self::checked(instructions, &is_valid)
    }

    /// Checks a program that looks at packets; `EINVAL`.
    pub fn for_packets(instructions: Vec<SockFilter>) -> Result<Self, Errno> {
        Self::checked(instructions, &|i, left| is_valid_for_packets(i) || is_valid(i, left))
    }

    fn checked(
        instructions: Vec<SockFilter>,
        is_valid: &dyn Fn(&SockFilter, usize) -> bool,
    ) -> Result<Self, Errno> {
        let len = instructions.len();
        if len == 0 || len > BPF_MAXINSNS {
            return Err(Errno::EINVAL);
        }
        let valid = instructions.iter().enumerate().all(|(at, i)| is_valid(i, len - at - 1));
        let returns = instructions.last().is_some_and(|i| i.code & 7 == BPF_RET);
        if !valid || !returns {
            return Err(Errno::EINVAL);
        }
        Ok(Self(instructions.into()))
    }

    /// How many instructions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The instructions.
    pub fn instructions(&self) -> &[SockFilter] {
        &self.0
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its answer, `SECCOMP_RET_*`.
    pub fn run(&self, data: &SeccompData) -> u32 {
        self.run_on(data).unwrap_or(SECCOMP_RET_KILL_THREAD)
    }

    /// Its answer; `None` where it divides by zero or looks at what is not there.
    pub fn run_on(&self, input: &impl Input) -> Option<u32> {
        let (mut a, mut x, mut memory, mut pc) = (0u32, 0u32, [0u32; BPF_MEMWORDS], 0usize);
        while let Some(i) = self.0.get(pc) {
            pc += 1;
            let slot = i.k as usize % BPF_MEMWORDS;
            let operand = if i.code & BPF_X != 0 { x } else { i.k };
            match i.code & 7 {
                BPF_RET => return Some(if i.code & 0x18 == BPF_A { a } else { i.k }),
                BPF_LD | BPF_LDX => {
                    let bytes = match i.code & 0x18 {
                        BPF_H => 2,
                        BPF_B => 1,
                        _ => 4,
                    };
                    let value = match i.code & 0xe0 {
                        BPF_ABS => input.load(i.k, bytes)?,
                        BPF_IND => input.load(x.wrapping_add(i.k), bytes)?,
                        BPF_MSH => (input.load(i.k, 1)? & 15) * 4,
                        BPF_LEN => input.size(),
                        BPF_MEM => memory.get(slot).copied().unwrap_or(0),
                        _ => i.k,
                    };
                    if i.code & 7 == BPF_LD { a = value } else { x = value }
                }
                class @ (BPF_ST | BPF_STX) => {
                    if let Some(word) = memory.get_mut(slot) {
                        *word = if class == BPF_ST { a } else { x };
                    }
                }
                BPF_ALU => a = alu(i.code & 0xf0, a, operand)?,
                BPF_JMP => {
                    let holds = match i.code & 0xf0 {
                        BPF_JA => {
                            pc = pc.saturating_add(i.k as usize);
                            continue;
                        }
                        BPF_JEQ => a == operand,
                        BPF_JGT => a > operand,
                        BPF_JGE => a >= operand,
                        _ => a & operand != 0,
                    };
                    pc += usize::from(if holds { i.jt } else { i.jf });
                }
                _ if i.code & 0xf8 == BPF_TXA => a = x,
                _ => x = a,
            }
        }
        None // not reached: the last instruction returns
    }
}

fn alu(op: u16, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        BPF_ADD => a.wrapping_add(b),
        BPF_SUB => a.wrapping_sub(b),
        BPF_MUL => a.wrapping_mul(b),
        BPF_DIV => a.checked_div(b)?,
        BPF_MOD => a.checked_rem(b)?,
        BPF_AND => a & b,
        BPF_OR => a | b,
        BPF_XOR => a ^ b,
        BPF_LSH => a.wrapping_shl(b),
        BPF_RSH => a.wrapping_shr(b),
        _ => a.wrapping_neg(),
    })
}

/// One instruction, with `left` behind it.
fn is_valid(i: &SockFilter, left: usize) -> bool {
    let k = i.k as usize;
    let (source, op) = (i.code & BPF_X, i.code & 0xf0);
    match i.code & 7 {
        BPF_LD => match i.code & !7 {
            mode if mode == BPF_W | BPF_ABS => i.k.is_multiple_of(4) && i.k < DATA_LEN,
            mode if mode == BPF_MEM => k < BPF_MEMWORDS,
            mode => mode == BPF_W | BPF_LEN || mode == BPF_IMM,
        },
        BPF_LDX => match i.code & !7 {
            mode if mode == BPF_MEM => k < BPF_MEMWORDS,
            mode => mode == BPF_W | BPF_LEN || mode == BPF_IMM,
        },
        BPF_ST | BPF_STX => i.code & !7 == 0 && k < BPF_MEMWORDS,
        BPF_ALU => match op {
            _ if i.code & !0xff != 0 => false,
            BPF_ADD | BPF_SUB | BPF_MUL | BPF_AND | BPF_OR | BPF_XOR => true,
            BPF_DIV => source != 0 || i.k != 0,
            BPF_LSH | BPF_RSH => source != 0 || i.k < 32,
            BPF_NEG => source == 0,
            _ => false,
        },
        BPF_JMP => match op {
            _ if i.code & !0xff != 0 => false,
            BPF_JA => source == 0 && k < left,
            BPF_JEQ | BPF_JGT | BPF_JGE | BPF_JSET => usize::from(i.jt.max(i.jf)) < left,
            _ => false,
        },
        BPF_RET => matches!(i.code & !7, BPF_K | BPF_A),
        _ => matches!(i.code & !7, BPF_TAX | BPF_TXA),
    }
}

/// What only programs for packets may do: look at any bytes of them, and divide for the rest.
fn is_valid_for_packets(i: &SockFilter) -> bool {
    let size = matches!(i.code & 0x18, BPF_W | BPF_H | BPF_B);
    match i.code & 7 {
        BPF_LD => size && matches!(i.code & !0x1f, BPF_ABS | BPF_IND),
        BPF_LDX => i.code & !7 == BPF_B | BPF_MSH,
        BPF_ALU => matches!(i.code & !0xf, BPF_MOD) && (i.code & BPF_X != 0 || i.k != 0),
        _ => false,
    }
}

/// The word at `offset` of `struct seccomp_data`.
fn word(data: &SeccompData, offset: u32) -> u32 {
    let half = |value: u64, high: bool| if high { (value >> 32) as u32 } else { value as u32 };
    let high = offset % 8 == 4;
    match offset {
        0 => data.nr as u32,
        4 => data.arch,
        8 | 12 => half(data.instruction_pointer, high),
        _ => data.args.get((offset as usize - 16) / 8).map_or(0, |value| half(*value, high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
        SockFilter { code, jt, jf, k }
    }
    fn data(nr: i32, args: [u64; 6]) -> SeccompData {
        SeccompData { nr, arch: AUDIT_ARCH_X86_64, instruction_pointer: 0x1_0000_0002, args }
    }

    #[test]
    fn a_program_decides_by_number_and_argument() {
        let program = Program::new(vec![
            insn(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
            insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 41),
            insn(BPF_LD | BPF_W | BPF_ABS, 0, 0, 20), // high half of the first argument
            insn(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 6),
            insn(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 5),
            insn(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW),
        ])
        .unwrap();
        assert_eq!(program.run(&data(41, [7 << 32, 0, 0, 0, 0, 0])), SECCOMP_RET_ERRNO | 5);
        assert_eq!(program.run(&data(41, [6 << 32, 0, 0, 0, 0, 0])), SECCOMP_RET_ALLOW);
        assert_eq!(program.run(&data(40, [7 << 32, 0, 0, 0, 0, 0])), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn what_linux_does_not_take() {
        let ret = || insn(BPF_RET | BPF_K, 0, 0, 0);
        let refused = |list| Program::new(list).is_err();
        assert!(refused(vec![]));
        assert!(refused(vec![insn(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0)]));
        assert!(refused(vec![insn(BPF_LD | BPF_W | BPF_ABS, 0, 0, 64), ret()]));
        assert!(refused(vec![insn(BPF_LD | BPF_W | BPF_ABS, 0, 0, 2), ret()]));
        assert!(refused(vec![insn(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0), ret()]));
        assert!(refused(vec![insn(BPF_JMP | BPF_JA, 0, 0, 1), ret()]));
        assert!(refused(vec![insn(BPF_JMP | BPF_JEQ, 1, 0, 1), ret()]));
        assert!(refused(vec![insn(BPF_ALU | BPF_DIV, 0, 0, 0), ret()]));
        assert!(refused(vec![insn(BPF_ALU | BPF_MOD, 0, 0, 3), ret()]));
        assert!(refused(vec![insn(BPF_ST, 0, 0, 16), ret()]));
        assert!(refused(vec![ret(); BPF_MAXINSNS + 1]));
        assert!(!refused(vec![
            insn(BPF_LDX | BPF_W | BPF_LEN, 0, 0, 0),
            insn(BPF_MISC | BPF_TXA, 0, 0, 0),
            ret()
        ]));
    }
}
