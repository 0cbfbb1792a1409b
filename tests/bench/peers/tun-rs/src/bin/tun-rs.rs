//! tun-rs: its blocking calls; a wire by its async ones, both directions on one
//! thread.
//!
//!     send recv echo wire    in mode none; split: recv_multiple(),
//!                            send_multiple()
use peers::{
    end_with_stdin, fail, must, ready, rounds, turn, Batch, Contestant,
    PACKET_MAX,
};
use tun_rs::{AsyncDevice, GROTable, SyncDevice, VIRTIO_NET_HDR_LEN};

fn send(c: &Contestant, dev: &SyncDevice) {
    let packet = c.packet();
    rounds(|n| {
        for _ in 0..n {
            must(dev.send(&packet));
        }
    });
}

fn send_split(c: &Contestant, dev: &SyncDevice) {
    let mut packet = vec![0; VIRTIO_NET_HDR_LEN];
    packet.extend(c.packet());
    let mut one = [packet];
    let mut gro = GROTable::default();
    rounds(|n| {
        for _ in 0..n {
            must(dev.send_multiple(&mut gro, &mut one, VIRTIO_NET_HDR_LEN));
        }
    });
}

fn recv(dev: &SyncDevice) {
    let mut packet = vec![0; PACKET_MAX];
    rounds(|n| {
        for _ in 0..n {
            must(dev.recv(&mut packet));
        }
    });
}

fn read(dev: &SyncDevice, b: &mut Batch) -> usize {
    must(dev.recv_multiple(
        &mut b.original,
        &mut b.bufs,
        &mut b.sizes,
        VIRTIO_NET_HDR_LEN,
    ))
}

fn recv_split(dev: &SyncDevice) {
    let mut b = Batch::default();
    rounds(|n| {
        let mut done = 0;
        while done < n {
            done += read(dev, &mut b);
        }
    });
}

fn echo(dev: &SyncDevice) {
    let mut packet = vec![0; PACKET_MAX];
    loop {
        let n = must(dev.recv(&mut packet));
        if turn(&mut packet[..n]) {
            let _ = dev.send(&packet[..n]);
        }
    }
}

fn echo_split(dev: &SyncDevice) {
    let mut b = Batch::default();
    loop {
        let n = read(dev, &mut b);
        b.trim(n);
        for buf in &mut b.bufs[..n] {
            if turn(&mut buf[VIRTIO_NET_HDR_LEN..]) {
                let _ = dev.send_multiple(
                    &mut b.gro,
                    &mut [buf],
                    VIRTIO_NET_HDR_LEN,
                );
            }
        }
        b.make_room(n);
    }
}

/// What finds no room over there is lost, as on a wire.
async fn carry(from: &AsyncDevice, to: &AsyncDevice) {
    let mut packet = vec![0; PACKET_MAX];
    loop {
        let n = must(from.recv(&mut packet).await);
        let _ = to.send(&packet[..n]).await;
    }
}

async fn carry_split(from: &AsyncDevice, to: &AsyncDevice) {
    let mut b = Batch::default();
    loop {
        let n = must(
            from.recv_multiple(
                &mut b.original,
                &mut b.bufs,
                &mut b.sizes,
                VIRTIO_NET_HDR_LEN,
            )
            .await,
        );
        b.trim(n);
        let _ = to
            .send_multiple(&mut b.gro, &mut b.bufs[..n], VIRTIO_NET_HDR_LEN)
            .await;
        b.make_room(n);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn wire(c: &Contestant, a: SyncDevice) {
    let a = must(AsyncDevice::new(a));
    let b = must(AsyncDevice::new(c.open_there()));
    ready();
    if c.split() {
        tokio::join!(carry_split(&a, &b), carry_split(&b, &a));
    } else {
        tokio::join!(carry(&a, &b), carry(&b, &a));
    }
}

fn main() {
    let c = Contestant::begin();
    let dev = c.open(&c.name);
    match (c.workload.as_str(), c.split()) {
        ("send", false) => send(&c, &dev),
        ("send", true) => send_split(&c, &dev),
        ("recv", false) => recv(&dev),
        ("recv", true) => recv_split(&dev),
        ("echo", split) => {
            end_with_stdin();
            ready();
            if split {
                echo_split(&dev)
            } else {
                echo(&dev)
            }
        }
        ("wire", _) => {
            end_with_stdin();
            wire(&c, dev)
        }
        (other, _) => fail(format!("{other} is not known")),
    }
}
