//! Handlers of ipmi_sim that some requests lead astray, with a guard before each.
//!
//! Found by sending all commands over KCS, each with two dozen kinds of data, to 2.0.33 with
//! this module.

use std::ffi::{CStr, c_uchar, c_uint, c_void};

use super::{Handler, Msg, symbol};
use crate::chassis::APP;
use crate::protocol::Completion;

/// ipmi_sim's tables of handlers, one for each command of a network function.
pub(super) const APP_HANDLERS: &CStr = c"app_netfn_handlers";
pub(super) const SENSOR_HANDLERS: &CStr = c"sensor_event_netfn_handlers";

const SENSOR_EVENT: u8 = 0x04;

/// Set Sensor Event Enable (29.10): for a whole sensor, ipmi_sim sets no length, and so sends
/// 36 bytes of its stack.
const SET_EVENT_ENABLE: u8 = 0x28;

/// Activate and Deactivate Payload (24.1, 24.2): from a guest, which has no session, ipmi_sim
/// dies of a null pointer where SOL is configured.
const ACTIVATE_PAYLOAD: u8 = 0x48;
const DEACTIVATE_PAYLOAD: u8 = 0x49;

/// What is guarded, as (network function, command).
pub(super) const COMMANDS: [(u8, u8); 3] = [
    (SENSOR_EVENT, SET_EVENT_ENABLE),
    (APP, ACTIVATE_PAYLOAD),
    (APP, DEACTIVATE_PAYLOAD),
];

/// Returns ipmi_sim's own handler of one of [`COMMANDS`], which is the `cb_data` of [`handle`].
pub(super) fn original(netfn: u8, command: u8) -> Option<*mut c_void> {
    let table = if netfn == APP {
        APP_HANDLERS
    } else {
        SENSOR_HANDLERS
    };
    let table = symbol(table)?.cast::<*mut c_void>();
    // SAFETY: the tables of the version checked for have a place for each of 256 commands, and
    // are only written to while handlers are registered, by this thread.
    let handler = unsafe { table.add(usize::from(command)).read() };
    (!handler.is_null()).then_some(handler)
}

/// Has ipmi_sim's own handler answer what it can.
///
/// # Safety
/// As the module's own handler; `cb_data` is one of ipmi_sim's, which wants no data itself.
pub(super) unsafe extern "C" fn handle(
    mc: *mut c_void,
    msg: *const Msg,
    rdata: *mut c_uchar,
    rdata_len: *mut c_uint,
    cb_data: *mut c_void,
) {
    // SAFETY: see the function; the message outlives this call.
    let message = unsafe { &*msg };
    let of_a_guest = message.orig_channel.is_null();
    let refused = message.netfn == APP && of_a_guest;
    let Completion(code) = Completion::INVALID_COMMAND;
    // SAFETY: see the function; the buffer holds more than one byte.
    unsafe {
        *rdata = if refused { code } else { 0 };
        *rdata_len = 1;
        if !refused {
            let original = std::mem::transmute::<*mut c_void, Handler>(cb_data);
            original(mc, msg, rdata, rdata_len, std::ptr::null_mut());
        }
    }
}
