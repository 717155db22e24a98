//! The clock of the event log: a command of ipmi_sim's own language that sets it to the true time.
//!
//! ipmi_sim 2.0.33 counts SEL time from the host's boot until a client sets
//! it, and its command language has no word for that. `sel_clock_set MC` is
//! one: it gives the management controller a Set SEL Time (IPMI 2.0, section
//! 31.11), as a client would.

use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_void};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ffi::{Msg, symbol};

/// The functions of 2.0.33 that this needs.
pub(crate) const EXPORTED: [&CStr; 2] = [ADD_COMMAND, HANDLE_MESSAGE];

const ADD_COMMAND: &CStr = c"ipmi_emu_add_cmd";
const HANDLE_MESSAGE: &CStr = c"ipmi_emu_handle_msg";

/// The word; `src/bmc/emu.rs` of nsplay writes it.
const WORD: &CStr = c"sel_clock_set";

/// `MC` of mcserv.h: the first argument names a controller.
const TAKES_CONTROLLER: c_uint = 1;

const STORAGE: c_uchar = 0x0a;
const SET_SEL_TIME: c_uchar = 0x49;

const EIO: c_int = 5;
const ENOSYS: c_int = 38;

type Command =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, *mut *mut c_char) -> c_int;
type AddCommand = unsafe extern "C" fn(*const c_char, c_uint, Command) -> c_int;
type HandleMessage =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *const Msg, *mut c_uchar, *mut c_uint);

/// Teaches ipmi_sim the word, before it reads its commands.
pub(crate) fn register() -> Result<(), String> {
    let add = symbol(ADD_COMMAND).ok_or("ipmi_sim has lost its functions")?;
    // SAFETY: the function has this signature in the version that init checked; the word is
    // constant and NUL-terminated.
    let error = unsafe {
        let add = std::mem::transmute::<*mut c_void, AddCommand>(add);
        add(WORD.as_ptr(), TAKES_CONTROLLER, set)
    };
    match error {
        0 => Ok(()),
        error => Err(format!("cannot add a command: errno {error}")),
    }
}

/// The command: sets the clock, or returns an errno, which ends the reading of a command file.
///
/// # Safety
/// ipmi_sim calls it with its emulator and a management controller.
unsafe extern "C" fn set(
    _out: *mut c_void,
    emulator: *mut c_void,
    mc: *mut c_void,
    _words: *mut *mut c_char,
) -> c_int {
    let Some(handle) = symbol(HANDLE_MESSAGE) else {
        return ENOSYS;
    };
    let data = seconds(SystemTime::now()).to_le_bytes();
    let message = Msg::internal(STORAGE, SET_SEL_TIME, &data);
    let mut response = [0_u8; 64];
    let mut length = response.len() as c_uint;
    // SAFETY: the function has this signature in the version that init checked; message, data and
    // response outlive the call, and one byte is what Set SEL Time answers.
    unsafe {
        let handle = std::mem::transmute::<*mut c_void, HandleMessage>(handle);
        handle(
            emulator,
            mc,
            &raw const message,
            response.as_mut_ptr(),
            &raw mut length,
        );
    }
    if response[0] == 0 { 0 } else { EIO }
}

/// Seconds after 1970-01-01 UTC; IPMI's 32 bits end in 2106.
fn seconds(now: SystemTime) -> u32 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_beyond_2106_stays_at_the_last_second_that_ipmi_has() {
        assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(7)), 7);
        assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(1 << 40)), u32::MAX);
    }
}
