package inventory

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's interface (include/uapi/linux/ipmi.h).
const (
	ioctlReceive = 0xc030690b // _IOWR('i', 11, struct ipmi_recv) on 64 bits
	ioctlSend    = 0x8028690d // _IOR('i', 13, struct ipmi_req) on 64 bits

	systemInterface = 0x0c // IPMI_SYSTEM_INTERFACE_ADDR_TYPE
	bmcChannel      = 0x0f // IPMI_BMC_CHANNEL
)

type kernelAddress struct {
	kind    int32
	channel int16
	_       [2]byte // the LUN, which is 0, and padding
}

type kernelMessage struct {
	netFn, command byte
	length         uint16
	data           *byte
}

type kernelRequest struct {
	address       *kernelAddress
	addressLength uint32
	id            int64
	message       kernelMessage
}

type kernelReceived struct {
	kind          int32
	address       *kernelAddress
	addressLength uint32
	id            int64
	message       kernelMessage
}

// kernelBMC sends commands through /dev/ipmi0. Calls must not overlap.
type kernelBMC struct {
	fd   int
	next int64
}

// call sends a command and returns the answer without its completion code, which must be 0.
func (k *kernelBMC) call(netFn, command byte, data []byte) ([]byte, error) {
	k.next++
	to := kernelAddress{kind: systemInterface, channel: bmcChannel}
	request := kernelRequest{
		address: &to, addressLength: uint32(unsafe.Sizeof(to)), id: k.next,
		message: kernelMessage{netFn: netFn, command: command, length: uint16(len(data)), data: unsafe.SliceData(data)},
	}
	if err := ioctl(k.fd, ioctlSend, unsafe.Pointer(&request)); err != nil {
		return nil, fmt.Errorf("send IPMI command %#02x/%#02x: %w", netFn, command, err)
	}
	runtime.KeepAlive(request) // the collector does not see what the kernel was given
	for deadline := time.Now().Add(answerLimit); ; {
		poll := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, max(0, int(time.Until(deadline).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return nil, fmt.Errorf("wait for the answer to IPMI command %#02x/%#02x: %w", netFn, command, unix.ETIMEDOUT)
		}
		var from kernelAddress
		buf := make([]byte, 272) // IPMI_MAX_MSG_LENGTH
		received := kernelReceived{
			address: &from, addressLength: uint32(unsafe.Sizeof(from)),
			message: kernelMessage{length: uint16(len(buf)), data: &buf[0]},
		}
		if err := ioctl(k.fd, ioctlReceive, unsafe.Pointer(&received)); err != nil {
			return nil, fmt.Errorf("read the answer to IPMI command %#02x/%#02x: %w", netFn, command, err)
		}
		runtime.KeepAlive(received)
		if received.id != k.next {
			continue // a late answer to an earlier command
		}
		answer := buf[:received.message.length]
		if len(answer) == 0 || answer[0] != 0 {
			return nil, fmt.Errorf("IPMI command %#02x/%#02x was refused: % x", netFn, command, answer)
		}
		return answer[1:], nil
	}
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
