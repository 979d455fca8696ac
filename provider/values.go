package main

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The server knows no difference between absent and zero, Terraform does: a null that comes back as "" would never
// settle. So the functions below turn a zero of the server into null, except where the user wrote the zero out.

func newString(prior types.String, now string) types.String {
	if now == "" && (prior.IsUnknown() || prior.ValueString() != "") {
		return types.StringNull()
	}
	if now == "" {
		return prior
	}
	return types.StringValue(now)
}

func newInt(prior types.Int64, now int64) types.Int64 {
	if now == 0 && (prior.IsUnknown() || prior.ValueInt64() != 0) {
		return types.Int64Null()
	}
	if now == 0 {
		return prior
	}
	return types.Int64Value(now)
}

func newBool(prior types.Bool, now bool) types.Bool {
	if !now && (prior.IsUnknown() || prior.ValueBool()) {
		return types.BoolNull()
	}
	if !now {
		return prior
	}
	return types.BoolValue(true)
}

func newSet[S ~string](prior types.Set, now []S) types.Set {
	if len(now) == 0 {
		if prior.IsUnknown() || len(prior.Elements()) > 0 || prior.IsNull() {
			return types.SetNull(types.StringType)
		}
		return prior
	}
	return types.SetValueMust(types.StringType, elements(now, stringElement))
}

func newList[S ~string](prior types.List, now []S) types.List {
	if len(now) == 0 {
		if prior.IsUnknown() || len(prior.Elements()) > 0 || prior.IsNull() {
			return types.ListNull(types.StringType)
		}
		return prior
	}
	return types.ListValueMust(types.StringType, elements(now, stringElement))
}

// computedSet is a set that only the server writes: it is never null.
func computedSet(now []string) types.Set {
	return types.SetValueMust(types.StringType, elements(now, stringElement))
}

// computedList is a list that only the server writes: it is never null.
func computedList(now []string) types.List {
	return types.ListValueMust(types.StringType, elements(now, stringElement))
}

// newTexts is a list of texts of one kind, in the server's order.
func newTexts[S any](prior types.List, s spelling, now []S, write func(S) string) types.List {
	kind := textType{spelling: s}
	if len(now) == 0 {
		if prior.IsUnknown() || len(prior.Elements()) > 0 || prior.IsNull() {
			return types.ListNull(kind)
		}
		return prior
	}
	return types.ListValueMust(kind, elements(now, func(item S) attr.Value {
		return textValue{types.StringValue(write(item)), s}
	}))
}

func stringElement[S ~string](s S) attr.Value { return types.StringValue(string(s)) }

func elements[S any](items []S, value func(S) attr.Value) []attr.Value {
	out := make([]attr.Value, 0, len(items))
	for _, item := range items {
		out = append(out, value(item))
	}
	return out
}

// A sequence is a set or a list.
type sequence interface{ Elements() []attr.Value }

// stringsOf returns the known elements of a set or list of texts; nil when there are none.
func stringsOf(seq sequence) []string {
	var out []string
	for _, element := range seq.Elements() {
		if s, ok := element.(interface{ ValueString() string }); ok {
			out = append(out, s.ValueString())
		}
	}
	return out
}

// sorted is stringsOf in an order of its own, for sets: the server compares lists.
func sorted(set types.Set) []string {
	out := stringsOf(set)
	slices.Sort(out)
	return out
}

// namesOf is stringsOf for a named string type.
func namesOf[S ~string](seq sequence) []S {
	var out []S
	for _, s := range stringsOf(seq) {
		out = append(out, S(s))
	}
	return out
}

// hold keeps a computed value that the plan promised: Terraform refuses an apply that breaks the promise, and the next
// refresh shows what the server has by then.
func hold[V attr.Value](planned, now V) V {
	if planned.IsUnknown() {
		return now
	}
	return planned
}

// fullyKnown says whether no part of any value waits for another resource.
func fullyKnown(ctx context.Context, values ...attr.Value) bool {
	for _, value := range values {
		raw, err := value.ToTerraformValue(ctx)
		if err != nil || !raw.IsFullyKnown() {
			return false
		}
	}
	return true
}
