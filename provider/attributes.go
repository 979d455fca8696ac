package main

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// The attributes that several resources have, so that they read and behave alike.

// idAttribute is the id: known from the first answer on, and never another.
func idAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Computed: true, MarkdownDescription: description,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

// nameAttribute is a name that is the thing's key: another name is another thing.
func nameAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: description + " Another name replaces it.",
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		Validators: []validator.String{stringvalidator.RegexMatches(
			regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62})$`), "must begin with a lower-case letter or digit, then letters, digits, dots, dashes or underscores, 63 at most")},
	}
}

// hostnameValidator refuses what is no DNS label.
func hostnameValidator() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`),
		"must be one DNS label: lower-case letters, digits and dashes, 63 at most")
}

// choice is an optional text out of a few, with a default that is part of the plan.
func choice(description, otherwise string, allowed ...string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, MarkdownDescription: description,
		Default:    stringdefault.StaticString(otherwise),
		Validators: []validator.String{stringvalidator.OneOf(allowed...)},
	}
}

// fixed is a computed text that, once known, seldom changes.
func fixed(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Computed: true, MarkdownDescription: description,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseNonNullStateForUnknown()},
	}
}

// durationAttribute is an optional span of time.
func durationAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, CustomType: textType{spelling: durationSpelling}, MarkdownDescription: description,
		PlanModifiers: []planmodifier.String{respelled{durationSpelling}},
	}
}

// timeoutsAttribute lets the user say how long Terraform waits; the server has limits of its own.
func timeoutsAttribute(ctx context.Context, opts timeouts.Opts) schema.Attribute {
	return withDescription(timeouts.Attributes(ctx, opts),
		"How long Terraform waits, as durations such as `30m` or `2h`. The work goes on at the server when Terraform gives up.")
}

func withDescription(attribute schema.Attribute, description string) schema.Attribute {
	nested, ok := attribute.(schema.SingleNestedAttribute)
	if !ok {
		return attribute
	}
	nested.MarkdownDescription = description
	return nested
}
