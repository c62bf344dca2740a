"""JSON Schema as people would write it by hand."""

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class PlainJsonSchema(GenerateJsonSchema):
    """Without titles that repeat the members' names, without null as a default, and null as one of a member's types."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002, D102
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:  # noqa: D102
        described = self.generate_inner(schema["schema"])
        if isinstance(described.get("type"), str):
            return {**described, "type": [described["type"], "null"]}
        return super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:  # noqa: D102
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)
