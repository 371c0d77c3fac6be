//! How the structures of this crate are declared.

/// Declares `#[repr(C)]` structures of plain bytes: every bit pattern is valid, there is no implicit padding
/// (zerocopy's derive refuses it), and `Default` is all zeros.
macro_rules! pod {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
                zerocopy::KnownLayout,
            )]
            pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

            impl Default for $name {
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }

            impl $name {
                /// The size in bytes that user space sees.
                pub const SIZE: usize = size_of::<$name>();
            }
        )*
    };
}

/// Declares a bitflags type with the derives that all of this crate's share.
macro_rules! flags {
    ($($(#[$meta:meta])* pub struct $name:ident : $ty:ty { $($body:tt)* })*) => {
        $(
            bitflags::bitflags! {
                $(#[$meta])*
                #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, serde::Serialize, serde::Deserialize)]
                pub struct $name: $ty { $($body)* }
            }
        )*
    };
}

pub(crate) use {flags, pod};
