//! What ipmi_sim calls here, and what is called in it and in libc.
//!
//! With [`hooks`], all unsafe code of the module. Nothing here panics, and if it did, the
//! `extern "C"` edge ends the process instead of unwinding into C.

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_uint, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

mod guard;
mod timer;

use crate::chassis::{self, Answer, Chassis, Message};
use crate::event;
use crate::hooks;
use crate::link::{Link, log};
use crate::protocol::{Completion, Request};
use crate::sel_clock;
use crate::sol::Sol;
use crate::watchdog::{self, Watchdog};
use timer::{TIMER, Timer};

/// What `get_lanserv_version` says in OpenIPMI 2.0.33: the server has a version
/// of its own, which does not follow the release and so does not tell enough.
const LANSERV_VERSION: &CStr = c"1.0.13";

/// What of 2.0.33 is used, or goes with the `msg_t` bound here.
const EXPORTED: [&CStr; 7] = [
    REGISTER_HANDLER,
    timer::FIND_MC,
    timer::NEW_EVENT,
    guard::SENSOR_HANDLERS,
    APP_HANDLERS,
    PAYLOAD_HANDLERS,
    c"is_mc_get_channelset",
];

/// Functions that came with the next `msg_t`, whose fields lie elsewhere. Those
/// releases also put an argument in front of `ipmi_emu_register_cmd_handler`.
const NOT_EXPORTED: [&CStr; 2] = [c"ipmi_msg_alloc", c"ipmi_msg_dup"];

const REGISTER_HANDLER: &CStr = c"ipmi_emu_register_cmd_handler";

/// The handlers of the commands of network function 06h, by command.
pub(crate) const APP_HANDLERS: &CStr = c"app_netfn_handlers";
/// The handlers of RMCP+ payloads, by payload type.
pub(crate) const PAYLOAD_HANDLERS: &CStr = c"payload_handlers";

/// The management controller that lan.conf and the emulator file set up.
const BMC_ADDRESS: c_uchar = 0x20;

/// No answer is longer than 24 bytes. ipmi_sim's buffers hold more than 200.
const RESPONSE_MAX: usize = 32;

/// ipmi_sim fails to start with the text of the errno that init returns.
const EINVAL: c_int = 22;

static MODULE: OnceLock<Mutex<Module>> = OnceLock::new();

pub(crate) struct Module {
    chassis: Chassis,
    watchdog: Watchdog,
    link: Link,
    pub(crate) sol: Sol,
}

/// `msg_t` of lanserv/OpenIPMI/msg.h in 2.0.33; fields not read are unnamed.
#[repr(C)]
pub(crate) struct Msg {
    _src_addr: *mut c_void,
    _src_len: c_int,
    _oem_data: c_long,
    channel: c_uchar,
    pub(crate) orig_channel: *mut c_void,
    _authtype: c_uchar,
    _seq: u32,
    pub(crate) sid: u32,
    _rmcp: RmcpAuth,
    netfn: c_uchar,
    _rs_addr: c_uchar,
    _rs_lun: c_uchar,
    _rq_addr: c_uchar,
    _rq_lun: c_uchar,
    rq_seq: c_uchar,
    pub(crate) cmd: c_uchar,
    pub(crate) data: *const c_uchar,
    pub(crate) len: c_uint,
    _iana: u32,
    _next: *mut c_void,
}

/// The larger member of the union in `msg_t`.
#[repr(C)]
pub(crate) struct RmcpAuth {
    _authcode: *mut c_uchar,
    _authcode_data: [c_uchar; 16],
}

impl Msg {
    /// A request that came over no channel, from the BMC itself; `data` must outlive it.
    pub(crate) fn internal(netfn: u8, cmd: u8, data: &[u8]) -> Self {
        Self {
            _src_addr: std::ptr::null_mut(),
            _src_len: 0,
            _oem_data: 0,
            channel: 0,
            orig_channel: std::ptr::null_mut(),
            _authtype: 0,
            _seq: 0,
            sid: 0,
            _rmcp: RmcpAuth {
                _authcode: std::ptr::null_mut(),
                _authcode_data: [0; 16],
            },
            netfn,
            _rs_addr: BMC_ADDRESS,
            _rs_lun: 0,
            _rq_addr: BMC_ADDRESS,
            _rq_lun: 0,
            rq_seq: 0,
            cmd,
            data: data.as_ptr(),
            len: data.len() as c_uint,
            _iana: 0,
            _next: std::ptr::null_mut(),
        }
    }
}

// As the C compiler has them on 64-bit machines, measured with offsetof.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(std::mem::offset_of!(Msg, channel) == 24);
    assert!(std::mem::offset_of!(Msg, sid) == 48);
    assert!(std::mem::offset_of!(Msg, netfn) == 80);
    assert!(std::mem::offset_of!(Msg, rq_seq) == 85);
    assert!(std::mem::offset_of!(Msg, cmd) == 86);
    assert!(std::mem::offset_of!(Msg, data) == 88);
    assert!(std::mem::offset_of!(Msg, len) == 96);
};

pub(crate) type Handler =
    unsafe extern "C" fn(*mut c_void, *const Msg, *mut c_uchar, *mut c_uint, *mut c_void);
pub(crate) type RegisterHandler =
    unsafe extern "C" fn(c_uchar, c_uchar, Handler, *mut c_void) -> c_int;
type GetVersion = unsafe extern "C" fn() -> *const c_char;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    #[link_name = "send"]
    fn c_send(fd: c_int, data: *const c_void, len: usize, flags: c_int) -> isize;
}

/// Called by ipmi_sim before its start-up; an errno makes it refuse to start.
#[unsafe(no_mangle)]
extern "C" fn ipmi_sim_module_init(sys: *mut c_void, options: *const c_char) -> c_int {
    match init(sys, options) {
        Ok(()) => 0,
        Err(reason) => {
            log(format_args!("{reason}"));
            EINVAL
        }
    }
}

/// Called by ipmi_sim once its own handlers are in place; ours replace them.
#[unsafe(no_mangle)]
extern "C" fn ipmi_sim_module_post_init(_sys: *mut c_void) -> c_int {
    let Some(register) = register_function() else {
        return EINVAL;
    };
    let own = chassis::COMMANDS.into_iter().chain(watchdog::COMMANDS);
    let own = own.chain([event::COMMAND]);
    let own = own.map(|command| (command, handle as Handler, std::ptr::null_mut()));
    let guarded = guard::original().map(|own| (guard::COMMAND, guard::handle as Handler, own));
    for ((netfn, command), handler, cb_data) in own.chain(guarded) {
        // SAFETY: `register` has this signature in the version that init
        // checked, and these are the handler type that it takes.
        let error = unsafe { register(netfn, command, handler, cb_data) };
        if error != 0 {
            log(format_args!(
                "cannot register command {netfn:02x} {command:02x}: errno {error}"
            ));
            return error;
        }
    }
    match hooks::put(register) {
        Ok(()) => 0,
        Err(reason) => {
            log(format_args!("{reason}"));
            EINVAL
        }
    }
}

/// Called instead of init when ipmi_sim is asked for its version.
#[unsafe(no_mangle)]
extern "C" fn ipmi_sim_module_print_version(_sys: *mut c_void, _options: *const c_char) -> c_int {
    log(format_args!(
        "chassis commands for the ipmi_sim of OpenIPMI 2.0.33"
    ));
    0
}

fn init(sys: *mut c_void, options: *const c_char) -> Result<(), String> {
    check_interface()?;
    let options = if options.is_null() {
        c""
    } else {
        // SAFETY: ipmi_sim passes the NUL-terminated second word of `loadlib`,
        // which lives as long as its configuration does.
        unsafe { CStr::from_ptr(options) }
    };
    let link = Link::new(inherited_socket(&options.to_string_lossy())?);
    let module = Module {
        chassis: Chassis::default(),
        watchdog: Watchdog::default(),
        link,
        sol: Sol::default(),
    };
    MODULE
        .set(Mutex::new(module))
        .map_err(|_| "the module is loaded twice: one `loadlib` line is enough".to_owned())?;
    sel_clock::register()?;
    let timer = Timer::new(sys, watchdog_ran_out)?;
    // It was set only if the module was, which is once.
    let _ = TIMER.set(timer);
    Ok(())
}

/// Called by ipmi_sim when the time is over that the watchdog asked for.
extern "C" fn watchdog_ran_out(_cb_data: *mut c_void) {
    let (Some(module), Some(timer)) = (MODULE.get(), TIMER.get()) else {
        return;
    };
    let mut module = module.lock().unwrap_or_else(PoisonError::into_inner);
    let Module { watchdog, link, .. } = &mut *module;
    let event = watchdog.expire(Instant::now(), |order| link.ask(Request::Watchdog(order)));
    if let Some(data) = event {
        timer.event(watchdog::record(BMC_ADDRESS, data));
    }
    timer.set(watchdog.next(Instant::now()));
}

pub(crate) fn ask(request: Request<'_>) -> Answer {
    module(|module| module.link.ask(request)).ok_or(Completion::UNSPECIFIED)?
}

/// Does something with the module, once it is there.
pub(crate) fn module<T>(act: impl FnOnce(&mut Module) -> T) -> Option<T> {
    let mut module = MODULE.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    Some(act(&mut module))
}

/// The data of a message.
///
/// # Safety
/// Its data holds `len` bytes, which nobody writes meanwhile.
pub(crate) unsafe fn data(msg: &Msg) -> &[u8] {
    if msg.data.is_null() {
        return &[];
    }
    // SAFETY: see the function.
    unsafe { std::slice::from_raw_parts(msg.data, msg.len as usize) }
}

/// Refuses every ipmi_sim but the one whose interface is bound here: with
/// another, the first command would read a wild pointer.
fn check_interface() -> Result<(), String> {
    const KNOWN: &str = "the module knows the ipmi_sim of OpenIPMI 2.0.33 only";

    let version = version().ok_or_else(|| format!("this is no ipmi_sim; {KNOWN}"))?;
    if version != LANSERV_VERSION {
        let version = version.to_string_lossy();
        return Err(format!("this is lanserv {version}; {KNOWN}"));
    }
    let exported = EXPORTED.iter().chain(&sel_clock::EXPORTED);
    if let Some(name) = exported.copied().find(|name| symbol(name).is_none()) {
        let name = name.to_string_lossy();
        return Err(format!("this ipmi_sim has no `{name}`; {KNOWN}"));
    }
    if let Some(name) = NOT_EXPORTED.iter().find(|name| symbol(name).is_some()) {
        let name = name.to_string_lossy();
        return Err(format!(
            "this ipmi_sim has `{name}`, so it is newer; {KNOWN}"
        ));
    }
    Ok(())
}

/// Answers one command. ipmi_sim calls it for every command that is registered.
///
/// # Safety
/// `msg` points to a 2.0.33 `msg_t` whose data holds `len` bytes, `rdata` to a
/// buffer of at least [`RESPONSE_MAX`] bytes, `rdata_len` to its length.
unsafe extern "C" fn handle(
    _mc: *mut c_void,
    msg: *const Msg,
    rdata: *mut c_uchar,
    rdata_len: *mut c_uint,
    _cb_data: *mut c_void,
) {
    // SAFETY: see the function; the message outlives this call.
    let msg = unsafe { &*msg };
    let message = Message {
        netfn: msg.netfn,
        command: msg.cmd,
        channel: msg.channel,
        session: msg.sid,
        sequence: msg.rq_seq,
        // SAFETY: data points to len bytes, and nobody writes while we read.
        data: unsafe { data(msg) },
    };
    let response = respond(message);
    let length = response.len().min(RESPONSE_MAX);
    // SAFETY: `rdata` has room for RESPONSE_MAX bytes and is not the request's
    // buffer; `rdata_len` is ours to set.
    unsafe {
        std::ptr::copy_nonoverlapping(response.as_ptr(), rdata, length);
        *rdata_len = length as c_uint;
    }
}

fn respond(message: Message<'_>) -> Vec<u8> {
    const UNSPECIFIED: u8 = 0xff;

    if (message.netfn, message.command) == event::COMMAND {
        return platform_event(message);
    }
    let response = module(|module| {
        let Module {
            chassis,
            watchdog,
            link,
            ..
        } = module;
        if !watchdog::COMMANDS.contains(&(message.netfn, message.command)) {
            return chassis.respond(message, |request| link.ask(request));
        }
        let ask = |order| link.ask(Request::Watchdog(order));
        let response = watchdog.respond(message, Instant::now(), ask);
        if let Some(timer) = TIMER.get() {
            timer.set(watchdog.next(Instant::now()));
        }
        response
    });
    response.unwrap_or_else(|| vec![UNSPECIFIED])
}

fn platform_event(message: Message<'_>) -> Vec<u8> {
    match (event::record(message), TIMER.get()) {
        (Ok(record), Some(timer)) => {
            timer.event(record);
            vec![0]
        }
        (Ok(_), None) => vec![Completion::UNSPECIFIED.0],
        (Err(Completion(code)), _) => vec![code],
    }
}

/// Returns the version of the program that we are loaded into.
fn version() -> Option<&'static CStr> {
    let symbol = symbol(c"get_lanserv_version")?;
    // SAFETY: every version that has this function has it with no argument
    // and a constant, NUL-terminated text.
    unsafe {
        let get_version = std::mem::transmute::<*mut c_void, GetVersion>(symbol);
        let version = get_version();
        (!version.is_null()).then(|| CStr::from_ptr(version))
    }
}

fn register_function() -> Option<RegisterHandler> {
    let symbol = symbol(REGISTER_HANDLER)?;
    // SAFETY: the function has this signature in the bound version; ipmi_sim
    // gets to post_init, where it is called, only when init accepted it.
    Some(unsafe { std::mem::transmute::<*mut c_void, RegisterHandler>(symbol) })
}

/// Looks a function up at run time: linked against, a missing one would stop
/// ipmi_sim with the dynamic linker's words, and unit tests would not link.
pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    const RTLD_DEFAULT: *mut c_void = std::ptr::null_mut();

    // SAFETY: `name` is NUL-terminated, and looking up changes nothing.
    let symbol = unsafe { dlsym(RTLD_DEFAULT, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}

/// Takes the descriptor named by the module's options, `fd=N`.
fn inherited_socket(options: &str) -> Result<UnixDatagram, String> {
    const F_SETFD: c_int = 2;
    const FD_CLOEXEC: c_int = 1;

    let fd = options
        .trim()
        .strip_prefix("fd=")
        .and_then(|number| number.parse::<c_int>().ok())
        .filter(|fd| *fd > 2)
        .ok_or_else(|| format!("options `{options}`: expected `fd=N` with N above 2"))?;
    // SAFETY: setting a flag of a descriptor; one that is not open is an error.
    if unsafe { fcntl(fd, F_SETFD, FD_CLOEXEC) } == -1 {
        let error = io::Error::last_os_error();
        return Err(format!("cannot use descriptor {fd}: {error}"));
    }
    // SAFETY: it is open, and nsplay passes it for us alone: ipmi_sim does not
    // know of it.
    let socket = UnixDatagram::from(unsafe { OwnedFd::from_raw_fd(fd) });
    match socket.local_addr() {
        Ok(_) => Ok(socket),
        Err(error) => Err(format!("descriptor {fd} is no Unix socket: {error}")),
    }
}

/// Sends one datagram, or fails at once.
///
/// std's own send would raise SIGPIPE when the node is gone, which ends
/// ipmi_sim, and would wait for a node that does not read.
pub(crate) fn send(socket: &UnixDatagram, datagram: &[u8]) -> io::Result<()> {
    const MSG_DONTWAIT: c_int = 0x40;
    const MSG_NOSIGNAL: c_int = 0x4000;

    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    // SAFETY: the pointer and length are those of one live slice.
    let sent = unsafe {
        c_send(
            socket.as_raw_fd(),
            datagram.as_ptr().cast(),
            datagram.len(),
            flags,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
