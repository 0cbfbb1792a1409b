//! The Rust side of tests/bench/README.md, and what both programs share.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, Read, Result};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Instant;

use tun_rs::{
    DeviceBuilder, GROTable, SyncDevice, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN,
};

pub const MTU: u16 = 1500;
pub const PACKET_MAX: usize = 65536;

const IP_HEADER: usize = 20;
const IP_ADDRESSES: usize = 12; // where an IPv4 header has them
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
const DONT_FRAGMENT: u8 = 0x40;
const TTL: u8 = 64;
const PORT: u16 = 9; // discard

/// The arguments: PROGRAM WORKLOAD MODE KEY=VALUE...
#[derive(Default)]
pub struct Contestant {
    pub workload: String,
    pub mode: String,
    pub name: String, // of the devices
    pub name_b: String,
    pub netns_b: String, // where the second one is
    pub address: String, // "10.9.0.1/24,fd00:9::1/64"
    pub size: usize,     // bytes of a packet
}

/// Says why, and ends.
pub fn fail(why: impl Display) -> ! {
    println!("error {why}");
    std::process::exit(1)
}

pub fn must<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|why| fail(why))
}

fn number(word: &str) -> usize {
    word.parse()
        .unwrap_or_else(|_| fail(format!("{word} is no number")))
}

/// Everything is there; stdout is for answers alone.
pub fn ready() {
    println!("ready");
}

/// A round for each line "run N"; answers how long it took.
pub fn rounds(mut play: impl FnMut(usize)) {
    ready();
    for line in std::io::stdin().lock().lines() {
        let line = must(line);
        let Some(word) = line.strip_prefix("run ") else {
            fail("only \"run N\" is understood")
        };
        let n = number(word);
        let began = Instant::now();
        play(n);
        println!("ns={}", began.elapsed().as_nanos());
    }
}

/// From now on the process ends with its stdin: for one that never stops.
pub fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

impl Contestant {
    /// A key that is not known is for another one.
    pub fn begin() -> Self {
        let mut args = std::env::args().skip(1);
        let mut c = Contestant::default();
        let (Some(workload), Some(mode)) = (args.next(), args.next()) else {
            fail("usage: PROGRAM WORKLOAD MODE KEY=VALUE...")
        };
        c.workload = workload;
        c.mode = mode;
        if c.mode != "none" && c.mode != "split" {
            fail(format!(
                "no mode {}: tun-rs hands over packets of the MTU alone",
                c.mode
            ));
        }
        for arg in args {
            let (key, value) = arg.split_once('=').unwrap_or((&arg, ""));
            match key {
                "name" => c.name = value.into(),
                "name-b" => c.name_b = value.into(),
                "netns-b" => c.netns_b = value.into(),
                "address" => c.address = value.into(),
                "size" => c.size = number(value),
                _ => {}
            }
        }
        c
    }

    pub fn split(&self) -> bool {
        self.mode == "split"
    }

    pub fn open(&self, name: &str) -> SyncDevice {
        must(
            DeviceBuilder::new()
                .name(name)
                .mtu(MTU)
                .offload(self.split())
                .build_sync(),
        )
    }

    /// The second host's, in its network namespace.
    pub fn open_there(&self) -> SyncDevice {
        let here = must(File::open("/proc/thread-self/ns/net"));
        let there = must(File::open(&self.netns_b));
        enter(&there);
        let dev = self.open(&self.name_b);
        enter(&here);
        dev
    }

    /// A UDP packet of `size` bytes, IP header and all, from one host of the
    /// address's network to the address itself: that of contestant.c.
    pub fn packet(&self) -> Vec<u8> {
        let text = self.address.split('/').next().unwrap_or_default();
        let Ok(to) = text.parse::<Ipv4Addr>() else {
            fail(format!("{text} is no address"))
        };
        if self.size < IP_HEADER + UDP_HEADER {
            fail(format!("{} bytes are no UDP packet", self.size));
        }
        let mut packet = vec![0; self.size];
        let len = self.size as u16;
        packet[0] = 4 << 4 | (IP_HEADER / 4) as u8;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet[6] = DONT_FRAGMENT;
        packet[8] = TTL;
        packet[9] = UDP;
        let from = (u32::from(to) + 1).to_be_bytes();
        packet[12..16].copy_from_slice(&from);
        packet[16..20].copy_from_slice(&to.octets());
        let sum = checksum(&packet[..IP_HEADER], 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());

        let udp_len = len - IP_HEADER as u16;
        packet[20..22].copy_from_slice(&PORT.to_be_bytes());
        packet[22..24].copy_from_slice(&PORT.to_be_bytes());
        packet[24..26].copy_from_slice(&udp_len.to_be_bytes());
        // The pseudo header's addresses stand before the datagram.
        let pseudo = u32::from(UDP) + u32::from(udp_len);
        let sum = checksum(&packet[IP_ADDRESSES..], pseudo);
        packet[26..28].copy_from_slice(&sum.to_be_bytes());
        packet
    }
}

fn enter(netns: &File) {
    // SAFETY: a system call that takes no pointers.
    if unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        fail(format!("setns: {}", std::io::Error::last_os_error()));
    }
}

fn checksum(data: &[u8], pseudo: u32) -> u16 {
    let mut sum = pseudo;
    for pair in data.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Swaps the addresses of an IPv4 packet; false where it is none.
pub fn turn(packet: &mut [u8]) -> bool {
    if packet.len() < IP_HEADER || packet[0] >> 4 != 4 {
        return false;
    }
    let (from, to) = packet[IP_ADDRESSES..IP_HEADER].split_at_mut(4);
    from.swap_with_slice(to);
    true
}

/// What recv_multiple() and send_multiple() want.
pub struct Batch {
    pub original: Vec<u8>,
    pub bufs: Vec<Vec<u8>>, // each with room to be joined into
    pub sizes: Vec<usize>,
    pub gro: GROTable,
}

impl Default for Batch {
    fn default() -> Self {
        let mut bufs = Vec::new();
        for _ in 0..IDEAL_BATCH_SIZE {
            bufs.push(Vec::with_capacity(VIRTIO_NET_HDR_LEN + PACKET_MAX));
        }
        let mut batch = Batch {
            original: vec![0; VIRTIO_NET_HDR_LEN + PACKET_MAX],
            bufs,
            sizes: vec![0; IDEAL_BATCH_SIZE],
            gro: GROTable::default(),
        };
        batch.make_room(IDEAL_BATCH_SIZE);
        batch
    }
}

impl Batch {
    /// For packets in the first n buffers.
    pub fn make_room(&mut self, n: usize) {
        for buf in &mut self.bufs[..n] {
            buf.resize(VIRTIO_NET_HDR_LEN + usize::from(MTU), 0);
        }
    }

    /// The first n buffers are as long as their packets.
    pub fn trim(&mut self, n: usize) {
        for (buf, size) in self.bufs[..n].iter_mut().zip(&self.sizes) {
            buf.truncate(VIRTIO_NET_HDR_LEN + size);
        }
    }
}
