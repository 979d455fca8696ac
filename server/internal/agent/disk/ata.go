package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Commands of ACS-4.
const (
	ataIdentify         = 0xEC
	ataSanitize         = 0xB4
	ataSetPassword      = 0xF1
	ataErasePrepare     = 0xF3
	ataEraseUnit        = 0xF4
	ataDisablePassword  = 0xF6
	sanitizeStatusOf    = 0x0000 // features of SANITIZE DEVICE (ACS-4, 7.36)
	sanitizeCryptoScram = 0x0011
	sanitizeBlockErase  = 0x0012
	sanitizeOverwriteIt = 0x0014
)

// erasePassword locks the disk from the moment the erase is prepared until it is done, which clears it. It is no
// secret: should the power fail in between, a person unlocks the disk with it.
const erasePassword = "metalform-erase"

// ataPlan is how an ATA disk is to erase itself.
type ataPlan struct {
	method   string
	sanitize ataCommand    // zero: by the security feature set
	enhanced bool          // security erase: the vendor's own pattern, spare blocks too
	patience time.Duration // security erase: as long as the disk says it takes, and half as much more
}

// planATA decides from the identify data (ACS-4, 7.13.6). Sanitize comes first: it survives a power failure, and needs no
// password that could lock the disk.
func planATA(name string, identify []byte) (ataPlan, error) {
	word := func(n int) uint16 { return binary.LittleEndian.Uint16(identify[2*n:]) }
	scramble := ataCommand{name: "SANITIZE CRYPTO SCRAMBLE", command: ataSanitize, feature: sanitizeCryptoScram, lba: 0x43727970, wide: true}
	block := ataCommand{name: "SANITIZE BLOCK ERASE", command: ataSanitize, feature: sanitizeBlockErase, lba: 0x426B4572, wide: true}
	overwrite := ataCommand{name: "SANITIZE OVERWRITE", command: ataSanitize, feature: sanitizeOverwriteIt, count: 1, lba: 0x4F57 << 32, wide: true}
	const supported, locked, frozen, expired, enhanced = 1 << 0, 1 << 2, 1 << 3, 1 << 4, 1 << 5
	switch features, security := word(59), word(128); {
	case features&(1<<12) != 0 && features&(1<<13) != 0:
		return ataPlan{method: "ata-sanitize" + cryptoSuffix, sanitize: scramble}, nil
	case features&(1<<12) != 0 && features&(1<<15) != 0:
		return ataPlan{method: "ata-sanitize-block", sanitize: block}, nil
	case features&(1<<12) != 0 && features&(1<<14) != 0:
		return ataPlan{method: "ata-sanitize-overwrite", sanitize: overwrite}, nil
	case security&supported == 0:
		return ataPlan{}, metal.Errorf(metal.Invalid, "erase disk %s: it has neither the sanitize nor the security feature set of ATA; erase with zero instead", name)
	case security&frozen != 0:
		return ataPlan{}, metal.Errorf(metal.Conflict, "erase disk %s: the firmware froze its security settings at power-on; switch that off in the firmware's set-up, or erase with zero instead", name)
	case security&(locked|expired) != 0:
		return ataPlan{}, metal.Errorf(metal.Conflict, "erase disk %s: it is locked by a password; unlock it (the password of an erase of ours that was cut off is %q)", name, erasePassword)
	case security&enhanced != 0:
		return ataPlan{method: "ata-security-erase-enhanced", enhanced: true, patience: eraseTime(word(90))}, nil
	default:
		return ataPlan{method: "ata-security-erase", patience: eraseTime(word(89))}, nil
	}
}

// eraseTime reads how long a security erase takes, in units of two minutes; bit 15 says that the value is a wide one.
func eraseTime(word uint16) time.Duration {
	units := word & 0xFF
	if word&(1<<15) != 0 {
		units = word & 0x7FFF
	}
	const most, unsaid = 10 * 24 * time.Hour, 12 * time.Hour
	if units == 0 {
		return unsaid
	}
	return min(time.Duration(units)*3*time.Minute+10*time.Minute, most)
}

// secureATA has an ATA disk erase itself.
func (d *device) secureATA(ctx context.Context, disk metal.Disk, progress func(float64)) (string, error) {
	identify := make([]byte, 512)
	if _, err := d.ata(ataCommand{name: "IDENTIFY DEVICE", command: ataIdentify, count: 1}, identify); err != nil {
		return "", metal.Errorf(metal.Internal, "erase disk %s: %w; erase with zero instead", disk.Name, err)
	}
	plan, err := planATA(disk.Name, identify)
	if err != nil {
		return "", err
	}
	if plan.sanitize.command != 0 {
		err = d.sanitizeATA(ctx, disk.Name, plan.sanitize, progress)
	} else {
		err = d.securityErase(plan)
	}
	if err != nil {
		return "", metal.Errorf(metal.Internal, "erase disk %s by %s: %w; erase with zero instead", disk.Name, plan.method, err)
	}
	return plan.method, nil
}

// sanitizeATA has the disk sanitize itself, where its answers reach us: without them nobody would know when it is done.
func (d *device) sanitizeATA(ctx context.Context, name string, c ataCommand, progress func(float64)) error {
	if _, err := d.sanitizeStatus(); err != nil {
		return err
	}
	if _, err := d.ata(c, nil); err != nil {
		return err
	}
	return d.awaitATASanitize(ctx, name, progress)
}

func (d *device) sanitizeStatus() (ataRegisters, error) {
	c := ataCommand{name: "SANITIZE STATUS", command: ataSanitize, feature: sanitizeStatusOf, wide: true}
	r, err := d.ata(c, nil)
	if err == nil && !r.told {
		err = metal.Errorf(metal.Internal, "ATA command %s: the controller does not pass the disk's answer on", c.name)
	}
	return r, err
}

// securityErase sets a password, which the erase needs, and erases. A disk that refuses keeps no password.
func (d *device) securityErase(plan ataPlan) error {
	page := passwordPage(false)
	if _, err := d.ata(ataCommand{name: "SECURITY SET PASSWORD", command: ataSetPassword, count: 1, out: true}, page); err != nil {
		return err
	}
	_, err := d.ata(ataCommand{name: "SECURITY ERASE PREPARE", command: ataErasePrepare}, nil)
	if err == nil {
		_, err = d.ata(ataCommand{name: "SECURITY ERASE UNIT", command: ataEraseUnit, count: 1, out: true, patience: plan.patience}, passwordPage(plan.enhanced))
	}
	if err == nil {
		return nil
	}
	_, unlock := d.ata(ataCommand{name: "SECURITY DISABLE PASSWORD", command: ataDisablePassword, count: 1, out: true}, page)
	return errors.Join(err, unlock)
}

// passwordPage is the data of the security commands (ACS-4, 7.42): the user password, and which erase.
func passwordPage(enhanced bool) []byte {
	page := make([]byte, 512)
	if enhanced {
		page[0] = 1 << 1
	}
	copy(page[2:34], erasePassword)
	return page
}

// awaitATASanitize follows a sanitize, which goes on inside the disk even when ctx ends and we stop looking.
func (d *device) awaitATASanitize(ctx context.Context, name string, progress func(float64)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r, err := d.sanitizeStatus()
		if err != nil {
			return err
		}
		fraction, ended, failed := ataSanitizeState(r)
		if failed {
			return metal.Errorf(metal.Internal, "the disk reports that its sanitize failed: replace the disk")
		}
		if ended {
			return nil
		}
		progress(fraction)
		select {
		case <-ctx.Done():
			return metal.Errorf(metal.Conflict, "called off while disk %s sanitizes itself, which it goes on doing: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
}

// ataSanitizeState reads the answer to SANITIZE STATUS (ACS-4, 7.36.5): the count tells the state, the LBA the progress.
func ataSanitizeState(r ataRegisters) (fraction float64, ended, failed bool) {
	const done, running = 1 << 15, 1 << 14
	switch {
	case r.count&running != 0:
		return float64(r.lba&0xFFFF) / 65536, false, false
	case r.count&done != 0:
		return 1, true, false
	}
	return 0, true, true
}
