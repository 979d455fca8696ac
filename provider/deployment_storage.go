package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// The models of storage have the names of the API's JSON, and go there and back by it. What is absent is nil in both.
type (
	storageModel struct {
		Layout         *string              `tfsdk:"layout" json:"layout,omitempty"`
		Disk           *diskRuleModel       `tfsdk:"disk" json:"disk,omitempty"`
		Filesystem     *string              `tfsdk:"filesystem" json:"filesystem,omitempty"`
		RootSize       *string              `tfsdk:"root_size" json:"root_size,omitempty"`
		BootSize       *string              `tfsdk:"boot_size" json:"boot_size,omitempty"`
		Swap           *string              `tfsdk:"swap" json:"swap,omitempty"`
		Encryption     *encryptionModel     `tfsdk:"encryption" json:"encryption,omitempty"`
		Disks          []storageDiskModel   `tfsdk:"disks" json:"disks,omitempty"`
		Partitions     []partitionModel     `tfsdk:"partitions" json:"partitions,omitempty"`
		RAIDs          []raidModel          `tfsdk:"raids" json:"raids,omitempty"`
		VolumeGroups   []volumeGroupModel   `tfsdk:"volume_groups" json:"volume_groups,omitempty"`
		LogicalVolumes []logicalVolumeModel `tfsdk:"logical_volumes" json:"logical_volumes,omitempty"`
		Encrypted      []encryptedModel     `tfsdk:"encrypted" json:"encrypted,omitempty"`
		Filesystems    []filesystemModel    `tfsdk:"filesystems" json:"filesystems,omitempty"`
		Swaps          []swapModel          `tfsdk:"swaps" json:"swaps,omitempty"`
	}
	diskRuleModel struct {
		Name    *string `tfsdk:"name" json:"name,omitempty"`
		Path    *string `tfsdk:"path" json:"path,omitempty"`
		Serial  *string `tfsdk:"serial" json:"serial,omitempty"`
		WWN     *string `tfsdk:"wwn" json:"wwn,omitempty"`
		Model   *string `tfsdk:"model" json:"model,omitempty"`
		Bus     *string `tfsdk:"bus" json:"bus,omitempty"`
		Kind    *string `tfsdk:"kind" json:"kind,omitempty"`
		MinSize *string `tfsdk:"min_size" json:"min_size,omitempty"`
		MaxSize *string `tfsdk:"max_size" json:"max_size,omitempty"`
		Pick    *string `tfsdk:"pick" json:"pick,omitempty"`
		Count   *int64  `tfsdk:"count" json:"count,omitempty"`
	}
	encryptionModel struct {
		TPM2       *bool   `tfsdk:"tpm2" json:"tpm2,omitempty"`
		PCRs       []int64 `tfsdk:"pcrs" json:"pcrs,omitempty"`
		Key        *string `tfsdk:"key_wo" json:"-"`
		KeyVersion *int64  `tfsdk:"key_wo_version" json:"-"`
	}
	storageDiskModel struct {
		Name *string        `tfsdk:"name" json:"name,omitempty"`
		Rule *diskRuleModel `tfsdk:"rule" json:"rule,omitempty"`
	}
	partitionModel struct {
		Name     *string `tfsdk:"name" json:"name,omitempty"`
		Disk     *string `tfsdk:"disk" json:"disk,omitempty"`
		Size     *string `tfsdk:"size" json:"size,omitempty"`
		Use      *string `tfsdk:"use" json:"use,omitempty"`
		Preserve *bool   `tfsdk:"preserve" json:"preserve,omitempty"`
	}
	raidModel struct {
		Name    *string  `tfsdk:"name" json:"name,omitempty"`
		Level   *int64   `tfsdk:"level" json:"level,omitempty"`
		Devices []string `tfsdk:"devices" json:"devices,omitempty"`
		Spares  []string `tfsdk:"spares" json:"spares,omitempty"`
		Chunk   *string  `tfsdk:"chunk" json:"chunk,omitempty"`
	}
	volumeGroupModel struct {
		Name    *string  `tfsdk:"name" json:"name,omitempty"`
		Devices []string `tfsdk:"devices" json:"devices,omitempty"`
	}
	logicalVolumeModel struct {
		Name        *string `tfsdk:"name" json:"name,omitempty"`
		VolumeGroup *string `tfsdk:"volume_group" json:"volume_group,omitempty"`
		Size        *string `tfsdk:"size" json:"size,omitempty"`
		Preserve    *bool   `tfsdk:"preserve" json:"preserve,omitempty"`
	}
	encryptedModel struct {
		Name       *string `tfsdk:"name" json:"name,omitempty"`
		Device     *string `tfsdk:"device" json:"device,omitempty"`
		TPM2       *bool   `tfsdk:"tpm2" json:"tpm2,omitempty"`
		PCRs       []int64 `tfsdk:"pcrs" json:"pcrs,omitempty"`
		Random     *bool   `tfsdk:"random" json:"random,omitempty"`
		Key        *string `tfsdk:"key_wo" json:"-"`
		KeyVersion *int64  `tfsdk:"key_wo_version" json:"-"`
	}
	filesystemModel struct {
		Device       *string          `tfsdk:"device" json:"device,omitempty"`
		Type         *string          `tfsdk:"type" json:"type,omitempty"`
		Label        *string          `tfsdk:"label" json:"label,omitempty"`
		Mount        *string          `tfsdk:"mount" json:"mount,omitempty"`
		MountOptions []string         `tfsdk:"mount_options" json:"mount_options,omitempty"`
		MkfsOptions  []string         `tfsdk:"mkfs_options" json:"mkfs_options,omitempty"`
		Subvolumes   []subvolumeModel `tfsdk:"subvolumes" json:"subvolumes,omitempty"`
		Preserve     *bool            `tfsdk:"preserve" json:"preserve,omitempty"`
	}
	subvolumeModel struct {
		Name         *string  `tfsdk:"name" json:"name,omitempty"`
		Mount        *string  `tfsdk:"mount" json:"mount,omitempty"`
		MountOptions []string `tfsdk:"mount_options" json:"mount_options,omitempty"`
	}
	swapModel struct {
		Device *string `tfsdk:"device" json:"device,omitempty"`
	}
)

// layoutKey is what the server calls the key of an encrypted layout.
const layoutKey = "layout"

// storageFrom reads the attribute; nil where it is null. Everything in it is known.
func storageFrom(ctx context.Context, o types.Object) (*storageModel, diag.Diagnostics) {
	if o.IsNull() || o.IsUnknown() {
		return nil, nil
	}
	var m storageModel
	diags := o.As(ctx, &m, basetypes.ObjectAsOptions{})
	return &m, diags
}

// spec is what the API is told; nil for nil.
func (m *storageModel) spec() (*metal.StorageSpec, error) {
	if m == nil {
		return nil, nil
	}
	var s metal.StorageSpec
	if err := convert(m, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("convert %T: %w", to, err)
	}
	return nil
}

// newStorage is what the server has. Where that means the same as before, it keeps the words of before: the server
// knows no difference between false and absent.
func newStorage(ctx context.Context, prior types.Object, now *metal.StorageSpec) (types.Object, diag.Diagnostics) {
	kinds := storageType()
	if now == nil {
		return types.ObjectNull(kinds), nil
	}
	was, diags := storageFrom(ctx, prior)
	before, err := was.spec()
	if err == nil && !diags.HasError() && before != nil && spoken[storageModel](before) == spoken[storageModel](now) {
		return prior, nil
	}
	var m storageModel
	if err := convert(now, &m); err != nil {
		diags.AddError("Cannot read storage as the server has it", sentence(err.Error()))
		return types.ObjectNull(kinds), diags
	}
	out, more := types.ObjectValueFrom(ctx, kinds, m)
	diags.Append(more...)
	return out, diags
}

// spoken is a declaration without what only the server says: what its model M has.
func spoken[M any](declared any) string {
	var m M
	if err := convert(declared, &m); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func storageType() map[string]attr.Type { return typesOf(storageAttributes()) }

func typesOf(attributes map[string]schema.Attribute) map[string]attr.Type {
	out := map[string]attr.Type{}
	for name, a := range attributes {
		out[name] = a.GetType()
	}
	return out
}

// keys are those that the configuration has, by the server's names.
func (m *storageModel) keys() map[string]string {
	out := map[string]string{}
	if m == nil {
		return out
	}
	if m.Encryption != nil && m.Encryption.Key != nil {
		out[layoutKey] = *m.Encryption.Key
	}
	for _, e := range m.Encrypted {
		if e.Key != nil && e.Name != nil {
			out[*e.Name] = *e.Key
		}
	}
	return out
}

// versions are those of the keys.
func (m *storageModel) versions() map[string]int64 {
	out := map[string]int64{}
	if m == nil {
		return out
	}
	if m.Encryption != nil && m.Encryption.KeyVersion != nil {
		out[layoutKey] = *m.Encryption.KeyVersion
	}
	for _, e := range m.Encrypted {
		if e.KeyVersion != nil && e.Name != nil {
			out[*e.Name] = *e.KeyVersion
		}
	}
	return out
}

// storageKeys are the keys to send; nil leaves what the server has. They are sent with the first deployment, and when a
// version says that one is another.
func storageKeys(prior, plan, config *storageModel) map[string]string {
	given := config.keys()
	if len(given) == 0 || prior != nil && maps.Equal(prior.versions(), plan.versions()) {
		return nil
	}
	return given
}
