//! ipmi_sim's own timer and event log, for the watchdog.

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_void};
use std::sync::OnceLock;
use std::time::Duration;

use super::{BMC_ADDRESS, symbol};

/// Where `sys_data_t` of 2.0.33 has its timer functions on 64-bit machines: read off the calls
/// that `start_poweron_timer` and `watchdog_timeout` make in Debian's binary.
#[cfg(target_pointer_width = "64")]
const TIMER_FUNCTIONS: usize = 0x8a0;

pub(super) const FIND_MC: &CStr = c"is_mc_alloc_unconfigured";
pub(super) const NEW_EVENT: &CStr = c"mc_new_event";

/// `alloc_timer`, `start_timer` and `stop_timer` of `sys_data_t`, which lie side by side.
#[repr(C)]
#[derive(Clone, Copy)]
struct Functions {
    alloc: unsafe extern "C" fn(*mut c_void, Callback, *mut c_void, *mut *mut c_void) -> c_int,
    start: unsafe extern "C" fn(*mut c_void, *mut Timeval) -> c_int,
    stop: unsafe extern "C" fn(*mut c_void) -> c_int,
}

pub(super) type Callback = unsafe extern "C" fn(*mut c_void);
type FindMc = unsafe extern "C" fn(*mut c_void, c_uchar, *mut *mut c_void) -> c_int;
type NewEvent = unsafe extern "C" fn(*mut c_void, c_uchar, *mut c_uchar);

/// `struct timeval` of 64-bit Linux.
#[repr(C)]
struct Timeval {
    seconds: c_long,
    microseconds: c_long,
}

/// `Dl_info` of dladdr(3).
#[repr(C)]
struct DlInfo {
    _file: *const c_char,
    base: *mut c_void,
    _symbol: *const c_char,
    _address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// One timer of ipmi_sim, and the controller whose log it writes to.
pub(super) struct Timer {
    functions: Functions,
    timer: *mut c_void,
    controller: *mut c_void,
    new_event: NewEvent,
}

// SAFETY: ipmi_sim has one thread, which is the only one that gets here.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

pub(super) static TIMER: OnceLock<Timer> = OnceLock::new();

impl Timer {
    /// Makes a timer of `sys`, which ipmi_sim gave to init, that calls `ran_out`.
    pub(super) fn new(sys: *mut c_void, ran_out: Callback) -> Result<Self, String> {
        let (Some(find_mc), Some(new_event)) = (symbol(FIND_MC), symbol(NEW_EVENT)) else {
            return Err("ipmi_sim has lost its functions".to_owned());
        };
        let mut controller = std::ptr::null_mut();
        // SAFETY: the function has this signature in the version checked for, and only in
        // init, where the controller is not configured yet, can it be had by its address.
        let error = unsafe {
            let find_mc = std::mem::transmute::<*mut c_void, FindMc>(find_mc);
            find_mc(sys, BMC_ADDRESS, &raw mut controller)
        };
        if error != 0 || controller.is_null() {
            return Err(format!(
                "cannot find controller {BMC_ADDRESS:#04x}: errno {error}"
            ));
        }
        // SAFETY: the structure is larger than this in the version checked for, and lives as
        // long as the process. The words are looked at before they are taken for functions.
        let words = unsafe {
            sys.byte_add(TIMER_FUNCTIONS)
                .cast::<[*mut c_void; 3]>()
                .read()
        };
        if !words.iter().all(|word| is_of_the_program(*word, find_mc)) {
            return Err("ipmi_sim's timer functions are not where 2.0.33 has them".to_owned());
        }
        // SAFETY: functions of the program, in the places of these three.
        let functions = unsafe { std::mem::transmute::<[*mut c_void; 3], Functions>(words) };
        let mut timer = std::ptr::null_mut();
        // SAFETY: as above; the timer is never freed.
        let error =
            unsafe { (functions.alloc)(sys, ran_out, std::ptr::null_mut(), &raw mut timer) };
        if error != 0 || timer.is_null() {
            return Err(format!("cannot make a timer: errno {error}"));
        }
        Ok(Self {
            functions,
            timer,
            controller,
            // SAFETY: the function has this signature in the version checked for.
            new_event: unsafe { std::mem::transmute::<*mut c_void, NewEvent>(new_event) },
        })
    }

    /// Has the callback called after `time`, instead of what was asked for before.
    pub(super) fn set(&self, time: Option<Duration>) {
        // SAFETY: the timer is ipmi_sim's own. Stopping one that stands is an error without
        // a consequence; starting one that runs would be refused.
        unsafe {
            (self.functions.stop)(self.timer);
        }
        if let Some(time) = time {
            let mut time = Timeval {
                seconds: c_long::try_from(time.as_secs()).unwrap_or(c_long::MAX),
                microseconds: c_long::from(time.subsec_micros()),
            };
            // SAFETY: as above; the time is read before this returns.
            unsafe {
                (self.functions.start)(self.timer, &raw mut time);
            }
        }
    }

    /// Hands an event to the controller, as its own sensors do: into its log and its event
    /// buffer, as far as these are enabled.
    pub(super) fn event(&self, mut record: [u8; 13]) {
        const SYSTEM_EVENT: c_uchar = 0x02;

        // SAFETY: the controller lives as long as the process; the record is copied.
        unsafe { (self.new_event)(self.controller, SYSTEM_EVENT, record.as_mut_ptr()) }
    }
}

/// Whether an address is of the same program as `known`, and not of the heap, the stack, or a
/// library: what another layout of the structure would have there.
fn is_of_the_program(address: *const c_void, known: *const c_void) -> bool {
    let base = |address| {
        let mut info = std::mem::MaybeUninit::<DlInfo>::zeroed();
        // SAFETY: dladdr takes any address, and fills the structure in when it knows it; all
        // zeroes are a value of it.
        let (found, info) = unsafe { (dladdr(address, info.as_mut_ptr()), info.assume_init()) };
        (found != 0).then_some(info.base)
    };
    base(address).is_some_and(|of| Some(of) == base(known))
}
