//! ISA-L's inflate: the fastest that streams, in C and assembler. What comes before the deflate stream of a
//! gzip member is the caller's; its trailer is read and checked here.

use isal_sys::igzip_lib::{
    ISAL_GZIP_NO_HDR_VER, ISAL_INCORRECT_CHECKSUM, ISAL_INVALID_BLOCK, ISAL_INVALID_LOOKBACK,
    ISAL_INVALID_SYMBOL, inflate_state, isal_block_state_ISAL_BLOCK_FINISH, isal_inflate, isal_inflate_init,
    isal_inflate_reset,
};
use std::fmt;
use std::ptr;

/// The state of one stream: about 90 kB.
pub struct Inflate {
    state: Box<inflate_state>,
    /// After an error the structure is not consistent: only `reset` goes on from there.
    failed: bool,
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflate")
    }
}

// SAFETY: the structure's pointers are null between calls; it refers to no thread.
unsafe impl Send for Inflate {}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub read: usize,
    pub written: usize,
    /// The deflate stream and the trailer were read to their end.
    pub ended: bool,
}

impl Default for Inflate {
    fn default() -> Inflate {
        // SAFETY: integers, arrays of them and pointers: zeros are a value of each.
        let mut state = unsafe { Box::<inflate_state>::new_zeroed().assume_init() };
        // SAFETY: the structure is ours alone.
        unsafe { isal_inflate_init(&raw mut *state) };
        Inflate { state, failed: false }
    }
}

impl Inflate {
    /// Begins another stream, behind the header of a member.
    pub fn reset(&mut self) {
        // SAFETY: initialized when it was made.
        unsafe { isal_inflate_reset(&raw mut *self.state) };
        self.failed = false;
        self.state.crc_flag = ISAL_GZIP_NO_HDR_VER;
    }

    /// Decodes some of `input` into `output`. The error says what is wrong.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, &'static str> {
        if self.failed {
            return Err("it is not valid");
        }
        let state = &mut *self.state;
        let input_length = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let output_length = u32::try_from(output.len()).unwrap_or(u32::MAX);
        state.next_in = input.as_ptr().cast_mut();
        state.avail_in = input_length;
        state.next_out = output.as_mut_ptr();
        state.avail_out = output_length;
        // SAFETY: the pointers and lengths are those of live slices, of which the input is only read;
        // everything else in the structure is the library's own.
        let result = unsafe { isal_inflate(&raw mut *state) };
        // The rest of the input is miscounted where the assembler meets an error.
        let read = input_length.checked_sub(state.avail_in);
        let written = output_length.checked_sub(state.avail_out);
        let ended = state.block_state == isal_block_state_ISAL_BLOCK_FINISH;
        state.next_in = ptr::null_mut();
        state.next_out = ptr::null_mut();
        state.avail_in = 0;
        state.avail_out = 0;
        self.failed = result < 0;
        match result {
            0.. => {
                let (Some(read), Some(written)) = (read, written) else { return Err("it is not valid") };
                Ok(Step { read: read as usize, written: written as usize, ended })
            }
            ISAL_INVALID_BLOCK => Err("a block is not valid"),
            ISAL_INVALID_SYMBOL => Err("a symbol is not valid"),
            ISAL_INVALID_LOOKBACK => Err("it repeats what was not there"),
            ISAL_INCORRECT_CHECKSUM => Err("the checksum or length of its content is wrong"),
            _ => Err("it is not valid"),
        }
    }
}
