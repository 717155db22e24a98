//! Whole labs on throwaway hosts: real programs, real namespaces, a real guest.

mod boot;
mod boot_devices;
mod capture;
mod children;
mod console;
mod endings;
mod faults;
mod guest;
mod hardware;
mod host;
mod hostile;
mod housekeeping;
mod inband;
mod inventory;
mod ipmi;
mod network_boot;
mod networks;
mod orders;
mod own_services;
mod power;
mod races;
mod refusals;
mod services;
mod sessions;
mod stages;
mod ways;
