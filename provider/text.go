package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

var (
	_ basetypes.StringTypable                    = textType{}
	_ basetypes.StringValuableWithSemanticEquals = textValue{}
	_ xattr.ValidateableAttribute                = textValue{}
	_ validator.String                           = spelled{}
)

// textType is a string attribute whose values may be spelt in more than one way: a plan keeps the user's spelling
// where the server's means the same.
type textType struct {
	basetypes.StringType
	spelling spelling
}

// Equal says whether o is the same type.
func (t textType) Equal(o attr.Type) bool {
	other, ok := o.(textType)
	return ok && t.spelling == other.spelling
}

// String names the type for people who debug a schema.
func (t textType) String() string { return "textType(" + string(t.spelling) + ")" }

// ValueFromString wraps in.
func (t textType) ValueFromString(_ context.Context, in basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return textValue{in, t.spelling}, nil
}

// ValueFromTerraform reads a value as Terraform sends it.
func (t textType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, in)
	if err != nil {
		return nil, err
	}
	s, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("read a %s: got a %T", t.spelling, value)
	}
	return textValue{s, t.spelling}, nil
}

// ValueType returns the Go type of the values.
func (t textType) ValueType(context.Context) attr.Value { return textValue{spelling: t.spelling} }

// textValue is a value of textType.
type textValue struct {
	basetypes.StringValue
	spelling spelling
}

// newText returns what the server says as an attribute: nothing is null, unless the user wrote "".
func newText(prior textValue, s spelling, now string) textValue {
	return textValue{newString(prior.StringValue, now), s}
}

// Type returns the type of the value.
func (v textValue) Type(context.Context) attr.Type { return textType{spelling: v.spelling} }

// Equal says whether o is the same value, letter by letter.
func (v textValue) Equal(o attr.Value) bool {
	other, ok := o.(textValue)
	return ok && v.spelling == other.spelling && v.StringValue.Equal(other.StringValue)
}

// StringSemanticEquals says whether both mean the same.
func (v textValue) StringSemanticEquals(ctx context.Context, o basetypes.StringValuable) (bool, diag.Diagnostics) {
	other, diags := o.ToStringValue(ctx)
	return v.spelling.same(v.ValueString(), other.ValueString()), diags
}

// ValidateAttribute refuses text that is not of this kind.
func (v textValue) ValidateAttribute(_ context.Context, req xattr.ValidateAttributeRequest, resp *xattr.ValidateAttributeResponse) {
	if v.IsNull() || v.IsUnknown() {
		return
	}
	if _, err := v.spelling.canonical(v.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+string(v.spelling), err.Error())
	}
}

// spelled refuses elements of a list that are not of the kind: Terraform validates attributes, but not their elements.
type spelled struct{ spelling spelling }

// Description is for tools.
func (v spelled) Description(context.Context) string { return "must be a " + string(v.spelling) }

// MarkdownDescription is for the documentation.
func (v spelled) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString refuses what has no canonical spelling.
func (v spelled) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := v.spelling.canonical(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+string(v.spelling), err.Error())
	}
}
