//! What the figures need of the system: cores to pin to, a second process, memory shared with it.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

pub type Failure = Box<dyn std::error::Error>;

/// Pins the calling thread.
pub fn pin_to(core: usize) -> Result<(), Failure> {
    unsafe {
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut one);
        checked(libc::sched_setaffinity(0, size_of_val(&one), &one))?;
    }
    Ok(())
}

fn checked(result: i32) -> Result<i32, Failure> {
    if result < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(result)
}

/// A process that runs `body`, and dies with this one.
pub struct Child(i32);

impl Child {
    pub fn start(body: impl FnOnce() -> Result<(), Failure>) -> Result<Child, Failure> {
        let parent = unsafe { libc::getpid() };
        let pid = checked(unsafe { libc::fork() })?;
        if pid != 0 {
            return Ok(Child(pid));
        }
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != parent {
                libc::_exit(1);
            }
        }
        let status = match body() {
            Ok(()) => 0,
            Err(failure) => {
                eprintln!("atrium_bench_peer_iceoryx2: {failure}");
                1
            }
        };
        unsafe { libc::_exit(status) }
    }

    /// Gives whether it ended by itself with success.
    pub fn wait(mut self) -> bool {
        let pid = std::mem::replace(&mut self.0, -1);
        let mut status = 0;
        while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
            if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                return false;
            }
        }
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 > 0 {
            unsafe {
                libc::kill(self.0, libc::SIGKILL);
                libc::waitpid(self.0, ptr::null_mut(), 0);
            }
        }
    }
}

static GUARDED: AtomicI32 = AtomicI32::new(0);

extern "C" fn end_guarded(_: i32) {
    let pid = GUARDED.load(Ordering::Relaxed);
    if pid > 0 {
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Waits for the child; kills it if this process is told to end, its parent dies, or that many seconds have passed.
pub fn wait_guarded(child: Child, seconds: u32) -> bool {
    GUARDED.store(child.0, Ordering::Relaxed);
    unsafe {
        let handler = end_guarded as extern "C" fn(i32) as libc::sighandler_t;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGALRM] {
            libc::signal(signal, handler);
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::alarm(seconds);
    }
    let good = child.wait();
    GUARDED.store(0, Ordering::Relaxed);
    good
}

/// Numbers that a child made later shares, each on a cache line of its own.
pub struct Shared(*mut Line);

#[repr(align(64))]
struct Line(AtomicU64);

impl Shared {
    const PLACES: usize = 2;

    pub fn new() -> Result<Shared, Failure> {
        let pages = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::PLACES * size_of::<Line>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if pages == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Shared(pages.cast()))
    }

    /// Whether the other process has everything open.
    pub fn ready(&self) -> &AtomicU64 {
        unsafe { &(*self.0).0 }
    }

    /// How many messages it has received and read.
    pub fn received(&self) -> &AtomicU64 {
        unsafe { &(*self.0.add(1)).0 }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.0.cast(), Self::PLACES * size_of::<Line>()) };
    }
}
