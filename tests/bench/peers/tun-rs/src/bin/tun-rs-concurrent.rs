//! tun-rs: a wire by its blocking calls, a thread for each direction.
//!
//!     wire    in mode none; split: recv_multiple(), send_multiple()
use std::sync::Arc;

use peers::{end_with_stdin, fail, must, ready, Batch, Contestant, PACKET_MAX};
use tun_rs::{SyncDevice, VIRTIO_NET_HDR_LEN};

/// What finds no room over there is lost, as on a wire.
fn carry(from: &SyncDevice, to: &SyncDevice) {
    let mut packet = vec![0; PACKET_MAX];
    loop {
        let n = must(from.recv(&mut packet));
        let _ = to.send(&packet[..n]);
    }
}

fn carry_split(from: &SyncDevice, to: &SyncDevice) {
    let mut b = Batch::default();
    loop {
        let n = must(from.recv_multiple(
            &mut b.original,
            &mut b.bufs,
            &mut b.sizes,
            VIRTIO_NET_HDR_LEN,
        ));
        b.trim(n);
        let _ =
            to.send_multiple(&mut b.gro, &mut b.bufs[..n], VIRTIO_NET_HDR_LEN);
        b.make_room(n);
    }
}

fn main() {
    let c = Contestant::begin();
    if c.workload != "wire" {
        fail(format!("{} is done by one thread: see tun-rs", c.workload));
    }
    let a = Arc::new(c.open(&c.name));
    let b = Arc::new(c.open_there());
    let each = if c.split() { carry_split } else { carry };
    end_with_stdin();
    ready();
    let (far, near) = (b.clone(), a.clone());
    std::thread::spawn(move || each(&far, &near));
    each(&a, &b);
}
