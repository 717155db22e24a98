//! What stands in front of ipmi_sim's own handlers and calls them: serial over LAN, and the opening
//! of RMCP+ sessions.
//!
//! Unsafe code, like [`ffi`](crate::ffi), under the same rules.

use std::ffi::{c_uchar, c_uint, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::chassis::APP;
use crate::ffi::{
    APP_HANDLERS, Handler, Msg, PAYLOAD_HANDLERS, RegisterHandler, ask, data, module, symbol,
};
use crate::link::log;
use crate::protocol::{Completion, Request};
use crate::sol::Header;

/// Sections 24.1 and 24.2.
const ACTIVATE_PAYLOAD: u8 = 0x48;
const DEACTIVATE_PAYLOAD: u8 = 0x49;

/// Payload types of table 13-16.
const SOL_PAYLOAD: u8 = 0x01;
const OPEN_SESSION_PAYLOAD: u8 = 0x10;

/// The most that ipmi_sim sends at once: a header and 255 characters. 2.0.33 tells the size of its
/// buffer instead, 16 KiB, which freeipmi takes for nonsense (table 24-2, bytes 8 and 9).
const LARGEST_PACKET: u16 = 4 + 255;

type PayloadHandler = unsafe extern "C" fn(*mut c_void, *mut Msg);

static HOOKED: OnceLock<Hooked> = OnceLock::new();

/// What ipmi_sim had in place of ours.
struct Hooked {
    activate: Handler,
    deactivate: Handler,
    sol: PayloadHandler,
    open_session: PayloadHandler,
}

/// Puts our handlers in front of ipmi_sim's own, which they call.
pub(crate) fn put(register: RegisterHandler) -> Result<(), String> {
    let (Some(app), Some(payloads)) = (symbol(APP_HANDLERS), symbol(PAYLOAD_HANDLERS)) else {
        return Err("ipmi_sim has lost its tables".to_owned());
    };
    let app = app.cast::<Option<Handler>>();
    let payloads = payloads.cast::<Option<PayloadHandler>>();
    // SAFETY: in the version that init checked these are tables of 256 and of 64 pointers, null or
    // a handler of this type. Nothing else runs: ipmi_sim has one thread.
    let hooked = unsafe {
        (
            *app.add(ACTIVATE_PAYLOAD.into()),
            *app.add(DEACTIVATE_PAYLOAD.into()),
            *payloads.add(SOL_PAYLOAD.into()),
            *payloads.add(OPEN_SESSION_PAYLOAD.into()),
        )
    };
    let (Some(activate), Some(deactivate), Some(sol), Some(open_session)) = hooked else {
        return Err("this ipmi_sim has no serial over LAN".to_owned());
    };
    let hooked = Hooked {
        activate,
        deactivate,
        sol,
        open_session,
    };
    if HOOKED.set(hooked).is_err() {
        return Err("the module is started twice".to_owned());
    }
    for command in [ACTIVATE_PAYLOAD, DEACTIVATE_PAYLOAD] {
        // SAFETY: as in post_init.
        let error = unsafe { register(APP, command, switch_payload, std::ptr::null_mut()) };
        if error != 0 {
            return Err(format!(
                "cannot register command 06 {command:02x}: errno {error}"
            ));
        }
    }
    // SAFETY: as above; ipmi_sim's own are called by ours.
    unsafe {
        *payloads.add(SOL_PAYLOAD.into()) = Some(handle_sol);
        *payloads.add(OPEN_SESSION_PAYLOAD.into()) = Some(handle_open_session);
    }
    Ok(())
}

/// Has ipmi_sim carry out Activate or Deactivate Payload, and tells the node.
///
/// # Safety
/// As for [`handle`].
unsafe extern "C" fn switch_payload(
    mc: *mut c_void,
    msg: *const Msg,
    rdata: *mut c_uchar,
    rdata_len: *mut c_uint,
    cb_data: *mut c_void,
) {
    let Some(hooked) = HOOKED.get() else {
        return;
    };
    // SAFETY: see the function.
    if unsafe { (*msg).orig_channel.is_null() } {
        // A guest has no session; ipmi_sim would look for its through a null pointer.
        let Completion(code) = Completion::INVALID_COMMAND;
        // SAFETY: see the function.
        unsafe {
            *rdata = code;
            *rdata_len = 1;
        }
        return;
    }
    // SAFETY: see the function.
    let (activate, session) = unsafe { ((*msg).cmd == ACTIVATE_PAYLOAD, (*msg).sid) };
    let own = if activate {
        hooked.activate
    } else {
        hooked.deactivate
    };
    // SAFETY: see the function; nothing of ours is borrowed or locked. It looks at the length of
    // the data before it looks at the data, and sets at least the completion code.
    let done = unsafe {
        own(mc, msg, rdata, rdata_len, cb_data);
        *rdata == 0
    };
    // SAFETY: as in `handle`.
    let data = unsafe { data(&*msg) };
    // Instance 1 is the console; ipmi_sim's second one needs a history of its own, and has none.
    let is_console =
        matches!(data, [kind, instance, ..] if kind & 0x3f == SOL_PAYLOAD && instance & 0x0f == 1);
    if !done || !is_console {
        return;
    }
    if activate {
        // SAFETY: the answer to an activation has 13 bytes; `rdata` is ours to set.
        unsafe {
            let [low, high] = LARGEST_PACKET.to_le_bytes();
            (*rdata.add(7), *rdata.add(8)) = (low, high);
        }
        // The lock is let go before ipmi_sim is called.
        let acknowledgements = module(|module| module.sol.begin(session));
        let lan = LAN.load(Ordering::Relaxed);
        // Without a packet so far there is nothing to begin anew.
        if !lan.is_null() {
            for header in acknowledgements.into_iter().flatten() {
                // SAFETY: the message is of the session that SOL now belongs to, and `lan` is the
                // one that packets come through: lan.conf makes one.
                unsafe { pretend(lan, msg.cast_mut(), header) };
            }
        }
    }
    if !activate {
        module(|module| module.sol.end());
    }
    if ask(Request::Sol(activate)).is_err() {
        log(format_args!("the console's history cannot be shown"));
    }
}

/// Where ipmi_sim last had a packet for serial over LAN from.
static LAN: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Has ipmi_sim handle a client's packet for serial over LAN.
///
/// # Safety
/// `msg` points to a 2.0.33 `msg_t` whose data holds `len` bytes.
unsafe extern "C" fn handle_sol(lan: *mut c_void, msg: *mut Msg) {
    let Some(hooked) = HOOKED.get() else {
        return;
    };
    LAN.store(lan, Ordering::Relaxed);
    // SAFETY: see the function.
    let (session, packet) = unsafe { ((*msg).sid, data(&*msg)) };
    if let Some(header) = module(|module| module.sol.receive(session, packet)).flatten() {
        // SAFETY: see the function.
        unsafe { pretend(lan, msg, header) };
    }
    // SAFETY: these are ipmi_sim's own arguments for its own handler.
    unsafe { (hooked.sol)(lan, msg) };
}

/// Has ipmi_sim handle a packet as if it had come in place of `msg`.
///
/// # Safety
/// `lan` and `msg` are of ipmi_sim, and `msg` is borrowed by nobody.
unsafe fn pretend(lan: *mut c_void, msg: *mut Msg, header: Header) {
    let Some(hooked) = HOOKED.get() else {
        return;
    };
    // SAFETY: see the function. The handler reads the data and keeps no pointer to it; afterwards
    // the message is as it was.
    unsafe {
        let (data, len) = ((*msg).data, (*msg).len);
        ((*msg).data, (*msg).len) = (header.as_ptr(), header.len() as c_uint);
        (hooked.sol)(lan, msg);
        ((*msg).data, (*msg).len) = (data, len);
    }
}

/// Has ipmi_sim open an RMCP+ session (section 13.17).
///
/// A client that asks for privilege level 0 asks for the highest there is and is to be told which
/// that is. 2.0.33 answers 0, which freeipmi takes for a refusal.
///
/// # Safety
/// As for [`handle_sol`].
unsafe extern "C" fn handle_open_session(lan: *mut c_void, msg: *mut Msg) {
    const HIGHEST: u8 = 0;
    const ADMINISTRATOR: u8 = 4;

    let Some(hooked) = HOOKED.get() else {
        return;
    };
    // SAFETY: see the function. The data is a received packet, in a buffer of ipmi_sim's that it
    // may change itself; no key of the session is derived from this byte.
    unsafe {
        if let [_, level, ..] = data(&*msg)
            && level & 0x0f == HIGHEST
        {
            *(*msg).data.cast_mut().add(1) = level | ADMINISTRATOR;
        }
        (hooked.open_session)(lan, msg);
    }
}
