package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type inventoryModel struct {
	MachineID types.String `tfsdk:"machine_id"`
	Inventory types.Object `tfsdk:"inventory"`
}

func newMachineInventoryDataSource() datasource.DataSource {
	return &dataSource[inventoryModel]{
		name: "machine_inventory",
		schema: schema.Schema{
			MarkdownDescription: "Everything that the last inspection saw of a machine's hardware. It is apart from the machine so that states stay small.",
			Attributes: map[string]schema.Attribute{
				"machine_id": requiredText("Id or name of the machine."),
				"inventory": schema.SingleNestedAttribute{
					Computed: true, MarkdownDescription: "The inventory. What the machine does not tell is null.", Attributes: inventoryAttributes(),
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *inventoryModel) (diag.Diagnostics, error) {
			seen, err := c.api.GetInventory(ctx, api.ByID{ID: m.MachineID.ValueString()})
			if err != nil {
				return nil, err
			}
			m.Inventory, err = inventoryValue(ctx, seen)
			return nil, err
		},
	}
}

// inventoryValue writes the inventory as Terraform sees it: the schema has the field names of the API's JSON.
func inventoryValue(ctx context.Context, seen metal.Inventory) (types.Object, error) {
	kind := types.ObjectType{AttrTypes: map[string]attr.Type{}}
	for name, attribute := range inventoryAttributes() {
		kind.AttrTypes[name] = attribute.GetType()
	}
	text, err := json.Marshal(seen)
	if err != nil {
		return types.ObjectNull(kind.AttrTypes), fmt.Errorf("encode the inventory: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return types.ObjectNull(kind.AttrTypes), fmt.Errorf("decode the inventory: %w", err)
	}
	return objectOf(ctx, kind, fields), nil
}

func objectOf(ctx context.Context, kind types.ObjectType, fields map[string]any) types.Object {
	values := make(map[string]attr.Value, len(kind.AttrTypes))
	for name, fieldKind := range kind.AttrTypes {
		values[name] = valueOf(ctx, fieldKind, fields[name])
	}
	return types.ObjectValueMust(kind.AttrTypes, values)
}

// valueOf turns decoded JSON into a value of the kind; null where it is of another kind, or absent.
func valueOf(ctx context.Context, kind attr.Type, in any) attr.Value {
	switch kind := kind.(type) {
	case types.ObjectType:
		if fields, ok := in.(map[string]any); ok {
			return objectOf(ctx, kind, fields)
		}
		return types.ObjectNull(kind.AttrTypes)
	case types.ListType:
		items, _ := in.([]any)
		return types.ListValueMust(kind.ElemType, elements(items, func(item any) attr.Value { return valueOf(ctx, kind.ElemType, item) }))
	default:
		return scalarOf(kind, in)
	}
}

func scalarOf(kind attr.Type, in any) attr.Value {
	switch in := in.(type) {
	case string:
		if kind == types.StringType {
			return types.StringValue(in)
		}
	case bool:
		if kind == types.BoolType {
			return types.BoolValue(in)
		}
	case float64:
		if whole, exact := big.NewFloat(in).Int64(); kind == types.Int64Type && exact == big.Exact {
			return types.Int64Value(whole)
		}
	}
	switch kind {
	case types.Int64Type:
		return types.Int64Null()
	case types.BoolType:
		return types.BoolNull()
	default:
		return types.StringNull()
	}
}
