//! Free TCP ports that stay ours: several servers, test binaries and other programs run at the same time.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's ephemeral range (32768-60999), so that no outgoing connection takes the port in between.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port on 127.0.0.1 that no other harness picks as long as this value lives.
pub struct Port {
    number: u16,
    /// The same port on 127.0.0.2 is the reservation: httpd itself needs it free on 127.0.0.1.
    _reservation: TcpListener,
}

impl Port {
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        #[allow(clippy::cast_possible_truncation)] // reduced modulo COUNT first
        let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + (start + step) % COUNT;
            let Ok(reservation) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), number)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _reservation: reservation };
            }
        }
        panic!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT);
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
