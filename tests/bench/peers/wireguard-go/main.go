// golang.zx2c4.com/wireguard/tun: batches, and offload of its own, which splits
// and joins.
//
//	send recv echo wire	in mode split: CreateTUN(), as wireguard-go does
//				in mode none: CreateTUNFromFile() of a bare one
package main

import (
	"errors"
	"os"

	"contestant"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
)

// Before each packet; it is what wireguard-go itself leaves.
const room = 16

func open(c *contestant.Contestant, name string) tun.Device {
	var dev tun.Device
	var err error
	if c.Mode == "split" {
		dev, err = tun.CreateTUN(name, contestant.MTU)
	} else {
		dev, err = tun.CreateTUNFromFile(bare(name), contestant.MTU)
	}
	contestant.Must(err)
	go func() {
		for range dev.Events() {
		}
	}()
	return dev
}

// What CreateTUN() makes, without IFF_VNET_HDR.
func bare(name string) *os.File {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	contestant.Must(err)
	ifr, err := unix.NewIfreq(name)
	contestant.Must(err)
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	contestant.Must(unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
	contestant.Must(unix.SetNonblock(fd, true))
	return os.NewFile(uintptr(fd), "/dev/net/tun")
}

// As many buffers as the device wants, each with room to be joined into.
type batch struct {
	bufs    [][]byte
	sizes   []int
	packets [][]byte
}

func newBatch(dev tun.Device) *batch {
	b := &batch{
		sizes:   make([]int, dev.BatchSize()),
		packets: make([][]byte, dev.BatchSize()),
	}
	for range dev.BatchSize() {
		b.bufs = append(b.bufs, make([]byte, room+contestant.PacketMax))
	}
	return b
}

// The packets of one read, each behind its room.
func (b *batch) read(dev tun.Device) [][]byte {
	n, err := dev.Read(b.bufs, b.sizes, room)
	if !errors.Is(err, tun.ErrTooManySegments) {
		contestant.Must(err)
	}
	for i := range n {
		b.packets[i] = b.bufs[i][:room+b.sizes[i]]
	}
	return b.packets[:n]
}

func recv(dev tun.Device, b *batch, n int) {
	for n > 0 {
		n -= len(b.read(dev))
	}
}

func send(dev tun.Device, packet []byte, n int) {
	one := [][]byte{packet}
	for range n {
		_, err := dev.Write(one, room)
		contestant.Must(err)
	}
}

func echo(dev tun.Device) {
	b := newBatch(dev)
	for {
		packets := b.read(dev)
		for i, packet := range packets {
			if contestant.Turn(packet[room:]) {
				dev.Write(packets[i:i+1], room)
			}
		}
	}
}

// What finds no room over there is lost, as on a wire.
func carry(from, to tun.Device) {
	b := newBatch(from)
	for {
		to.Write(b.read(from), room)
	}
}

func wire(c *contestant.Contestant, a tun.Device) {
	var b tun.Device
	c.There(func() { b = open(c, c.NameB) })
	go carry(a, b)
	go carry(b, a)
	contestant.Forever()
}

func main() {
	c := contestant.Begin()
	c.OnlyModes("wireguard-go hands over packets of the MTU alone",
		"none", "split")
	dev := open(c, c.Name)
	switch c.Workload {
	case "send":
		packet := append(make([]byte, room), c.Packet()...)
		contestant.Rounds(func(n int) { send(dev, packet, n) })
	case "recv":
		b := newBatch(dev)
		contestant.Rounds(func(n int) { recv(dev, b, n) })
	case "echo":
		contestant.EndWithStdin()
		contestant.Ready()
		echo(dev)
	case "wire":
		contestant.EndWithStdin()
		wire(c, dev)
	default:
		contestant.Fail("%s is not known", c.Workload)
	}
}
