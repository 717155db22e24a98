//! A handler of ipmi_sim that some requests lead astray, with a guard before it.
//!
//! Found by sending all commands over KCS, each with two dozen kinds of data, to 2.0.33 with
//! this module.

use std::ffi::{CStr, c_uchar, c_uint, c_void};

use super::{Handler, Msg, symbol};

/// ipmi_sim's handlers of the commands of network function 04h, by command.
pub(super) const SENSOR_HANDLERS: &CStr = c"sensor_event_netfn_handlers";

/// Set Sensor Event Enable (29.10): for a whole sensor, ipmi_sim sets no length, and so sends
/// 36 bytes of its stack.
pub(super) const COMMAND: (u8, u8) = (0x04, 0x28);

/// Returns ipmi_sim's own handler of [`COMMAND`], which is the `cb_data` of [`handle`].
pub(super) fn original() -> Option<*mut c_void> {
    let table = symbol(SENSOR_HANDLERS)?.cast::<*mut c_void>();
    let (_, command) = COMMAND;
    // SAFETY: the table of the version checked for has a place for each of 256 commands, and
    // is only written to while handlers are registered, by this thread.
    let handler = unsafe { table.add(usize::from(command)).read() };
    (!handler.is_null()).then_some(handler)
}

/// Has ipmi_sim's own handler answer, after a length and a completion code have been set for it.
///
/// # Safety
/// As the module's own handler; `cb_data` is ipmi_sim's, which wants no data itself.
pub(super) unsafe extern "C" fn handle(
    mc: *mut c_void,
    msg: *const Msg,
    rdata: *mut c_uchar,
    rdata_len: *mut c_uint,
    cb_data: *mut c_void,
) {
    // SAFETY: see the function; the buffer holds more than one byte.
    unsafe {
        *rdata = 0;
        *rdata_len = 1;
        let original = std::mem::transmute::<*mut c_void, Handler>(cb_data);
        original(mc, msg, rdata, rdata_len, std::ptr::null_mut());
    }
}
