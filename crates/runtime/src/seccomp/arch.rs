//! The architectures whose system calls a filter can tell apart.

use super::SeccompError;

/// An ABI of system calls. The order is that of the columns of the table of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arch {
    X86_64,
    X86,
    /// x86-64 with 32-bit pointers: the same audit architecture, numbers with bit 30.
    X32,
    Aarch64,
    Arm,
}

pub(super) const ARCH_COUNT: usize = Arch::ALL.len();

/// Marks a number of x32 under the audit architecture of x86-64.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Architectures that profiles name and that need no code here: this machine cannot run them.
const FOREIGN: &[&str] = &[
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

impl Arch {
    pub(super) const ALL: [Self; 5] = [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm];

    /// What this program was built for.
    pub(super) const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// The kernel's `AUDIT_ARCH_*`, as in `seccomp_data.arch`.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments are compared in their low 32 bits alone. As libseccomp, also for x32.
    pub(super) const fn narrow(self) -> bool {
        matches!(self, Self::X86 | Self::X32 | Self::Arm)
    }

    /// Whether a kernel for `self` can run programs for `other`.
    const fn runs(self, other: Self) -> bool {
        matches!(self, Self::Aarch64 | Self::Arm) == matches!(other, Self::Aarch64 | Self::Arm)
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SCMP_ARCH_X86_64" => Self::X86_64,
            "SCMP_ARCH_X86" => Self::X86,
            "SCMP_ARCH_X32" => Self::X32,
            "SCMP_ARCH_AARCH64" => Self::Aarch64,
            "SCMP_ARCH_ARM" => Self::Arm,
            _ => return None,
        })
    }

    /// The architectures that the filter has to cover: `native`, and those of `names` that it can run.
    pub(super) fn select(names: &[String], native: Self) -> Result<Vec<Self>, SeccompError> {
        let mut selected = vec![native];
        for (index, name) in names.iter().enumerate() {
            match Self::parse(name) {
                Some(arch) if native.runs(arch) && !selected.contains(&arch) => selected.push(arch),
                Some(_) => {}
                None if FOREIGN.contains(&name.as_str()) || name == "SCMP_ARCH_NATIVE" => {}
                None => return Err(SeccompError::UnknownArchitecture { index, name: name.clone() }),
            }
        }
        Ok(selected)
    }
}
