/// What Lance does at the call site of `decode_chunk`, by the same route. The target's own op ends
/// with the copy into the page's builder; in Lance the builder stays behind the hook, so the control
/// ends one step earlier, and zeroes its output as Lance does.
pub mod control {
    use super::*;

    pub fn decode_chunk(
        table: &[u8],
        chunk: &[u8],
        num_values: u64,
        out: &mut [MaybeUninit<u8>],
        out_off: &mut [i32],
    ) -> Result<usize, FsstErr> {
        // SAFETY: the chunk outlives this call, and no buffer made here does.
        let chunk = unsafe { LanceBuffer::borrowed(chunk) };
        let inner = BinaryMiniBlockDecompressor::new(32).map_err(|e| e.0)?;
        let block = inner.decompress(vec![chunk], num_values).map_err(|e| e.0)?;
        let DataBlock::VariableWidth(block) = block else { return Err(FsstErr::InvalidData) };
        let offsets = block.offsets.borrow_to_typed_slice::<i32>();
        let room = &mut out[..8 * block.data.len()];
        room.fill(MaybeUninit::new(0));
        adapt(table, &block.data, &offsets, room, out_off)
    }
}
