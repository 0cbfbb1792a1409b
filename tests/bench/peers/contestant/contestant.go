// Package contestant is the Go side of tests/bench/README.md.
package contestant

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	MTU       = 1500
	PacketMax = 65536

	ipHeader    = 20
	ipAddresses = 12 // where an IPv4 header has them
	udpHeader   = 8
	udp         = 17
	dontFrag    = 0x40
	ttl         = 64
	port        = 9 // discard
)

// Contestant is what the arguments say: PROGRAM WORKLOAD MODE KEY=VALUE...
type Contestant struct {
	Workload, Mode string
	Name, NameB    string // of the devices
	NetnsB         string // where the second one is
	Address        string // "10.9.0.1/24,fd00:9::1/64"
	Size           int    // bytes of a packet
}

// Begin takes the arguments.  A key that is not known is for another one.
func Begin() *Contestant {
	if len(os.Args) < 3 {
		Fail("usage: %s WORKLOAD MODE KEY=VALUE...", os.Args[0])
	}
	c := &Contestant{Workload: os.Args[1], Mode: os.Args[2]}
	for _, arg := range os.Args[3:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "name":
			c.Name = value
		case "name-b":
			c.NameB = value
		case "netns-b":
			c.NetnsB = value
		case "address":
			c.Address = value
		case "size":
			c.Size = number(value)
		}
	}
	return c
}

// Fail says why, and ends.
func Fail(format string, args ...any) {
	fmt.Printf("error "+format+"\n", args...)
	os.Exit(1)
}

// Must fails where there is an error.
func Must(err error) {
	if err != nil {
		Fail("%v", err)
	}
}

// OnlyModes fails, with the library's reason, in any other mode.
func (c *Contestant) OnlyModes(why string, modes ...string) {
	if !slices.Contains(modes, c.Mode) {
		Fail("no mode %s: %s", c.Mode, why)
	}
}

// Ready: everything is there; stdout is for answers alone.
func Ready() {
	fmt.Println("ready")
}

func number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		Fail("%s is no number", word)
	}
	return n
}

// Rounds plays one for each line "run N", and answers how long it took.
func Rounds(play func(n int)) {
	lines := bufio.NewScanner(os.Stdin)
	Ready()
	for lines.Scan() {
		word, found := strings.CutPrefix(lines.Text(), "run ")
		if !found {
			Fail("only \"run N\" is understood")
		}
		n := number(word)
		began := time.Now()
		play(n)
		fmt.Printf("ns=%d\n", time.Since(began).Nanoseconds())
	}
}

// EndWithStdin: from now on the process does; for one that never stops.
func EndWithStdin() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}

// Forever is for who has left all to others; the process ends with its stdin.
func Forever() {
	Ready()
	select {}
}

// There does what it is given in the second host's network namespace.
func (c *Contestant) There(do func()) {
	runtime.LockOSThread()
	here, err := unix.Open("/proc/thread-self/ns/net",
		unix.O_RDONLY|unix.O_CLOEXEC, 0)
	Must(err)
	there, err := unix.Open(c.NetnsB, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	Must(err)
	Must(unix.Setns(there, unix.CLONE_NEWNET))
	do()
	Must(unix.Setns(here, unix.CLONE_NEWNET))
	unix.Close(there)
	unix.Close(here)
	runtime.UnlockOSThread()
}

// Turn swaps the addresses of an IPv4 packet; false where it is none.
func Turn(packet []byte) bool {
	if len(packet) < ipHeader || packet[0]>>4 != 4 {
		return false
	}
	var far [4]byte
	at := packet[ipAddresses:]
	copy(far[:], at)
	copy(at[:4], at[4:8])
	copy(at[4:8], far[:])
	return true
}

func checksum(data []byte, sum uint32) uint16 {
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 != 0 {
		sum += uint32(data[len(data)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// Packet is a UDP packet of Size bytes, IP header and all, from one host of the
// address's network to the address itself: that of contestant.c.
func (c *Contestant) Packet() []byte {
	first, _, _ := strings.Cut(c.Address, ",")
	to, err := netip.ParsePrefix(first)
	Must(err)
	if !to.Addr().Is4() || c.Size < ipHeader+udpHeader {
		Fail("%d bytes to %s are no UDP packet", c.Size, first)
	}
	packet := make([]byte, c.Size)
	set := binary.BigEndian.PutUint16
	packet[0] = 4<<4 | ipHeader/4
	set(packet[2:], uint16(c.Size))
	packet[6] = dontFrag
	packet[8] = ttl
	packet[9] = udp
	copy(packet[12:], to.Addr().Next().AsSlice())
	copy(packet[16:], to.Addr().AsSlice())
	set(packet[10:], checksum(packet[:ipHeader], 0))

	datagram := packet[ipHeader:]
	set(datagram, port)
	set(datagram[2:], port)
	set(datagram[4:], uint16(len(datagram)))
	pseudo := uint32(udp + len(datagram))
	for i := ipAddresses; i < ipHeader; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	set(datagram[6:], checksum(datagram, pseudo))
	return packet
}
