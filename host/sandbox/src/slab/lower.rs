//! Words written straight into the guest's memory, where the engine's own lists would have to be made first.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};
use wasmtime::{ValRaw, bail};

use super::{Slab, WORD_BYTES};

#[expect(unsafe_code, reason = "everything about the type is what the engine says of a list of words")]
// SAFETY: ABI, flat form and type check are those of `[u64]`.
unsafe impl ComponentType for Slab<'_> {
    type Lower = <[u64] as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <[u64] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u64] as ComponentType>::typecheck(ty, types)
    }
}

// The engine keeps the trait's methods out of its documentation, because they may change with its major version,
// which is pinned. There is no other way to a guest's memory without a copy on the way.
#[expect(unsafe_code, reason = "both methods write the pointer and length that the engine would write for a list")]
// SAFETY: the words lie within what the guest's own allocator gave out, which the engine has checked, and each of
// them is written.
unsafe impl Lower for Slab<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let at = store(self, cx)?;
        dst.write([ValRaw::i64(i64::from(at)), ValRaw::i64(i64::from(length(self)?))]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let at = store(self, cx)?;
        *cx.get(offset) = at.to_le_bytes();
        *cx.get(offset + size_of::<u32>()) = length(self)?.to_le_bytes();
        Ok(())
    }
}

/// Writes the words to a place that the guest chooses.
fn store<T>(slab: &Slab<'_>, cx: &mut LowerContext<'_, T>) -> wasmtime::Result<u32> {
    let bytes = slab.words() * WORD_BYTES;
    let at = cx.realloc(0, 0, <u64 as ComponentType>::ALIGN32, bytes)?;
    let Ok(words) = bytemuck::try_cast_slice_mut(&mut cx.as_slice_mut()[at..][..bytes]) else {
        bail!("the guest's memory is not aligned to words");
    };
    slab.write(words);
    Ok(u32::try_from(at)?)
}

fn length(slab: &Slab<'_>) -> wasmtime::Result<u32> {
    Ok(u32::try_from(slab.words())?)
}
