"""What can never be changed about the table and the user pool without losing who is in them."""

from collections.abc import Iterator, Mapping
from typing import Any

Resources = Mapping[str, Mapping[str, Any]]

_ASKED_FOR = ("AliasAttributes", "UsernameAttributes", "UsernameConfiguration")


def fixed(resource: Mapping[str, Any]) -> dict[str, object]:
    """A table's or pool's properties of which CloudFormation says: replacement, or no update."""
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::DynamoDB::Table":
        named = {
            key["AttributeName"]
            for index in (properties, *properties.get("LocalSecondaryIndexes", ()))
            for key in index["KeySchema"]
        }
        return {
            "TableName": properties.get("TableName"),
            "KeySchema": properties["KeySchema"],
            "LocalSecondaryIndexes": properties.get("LocalSecondaryIndexes"),
            "the types of its keys": {
                each["AttributeName"]: each["AttributeType"]
                for each in properties["AttributeDefinitions"]
                if each["AttributeName"] in named
            },
        }
    return {
        **{name: properties.get(name) for name in _ASKED_FOR},
        "required attributes": sorted(
            each["Name"] for each in properties.get("Schema", ()) if each.get("Required")
        ),
    }


def _indexes(resource: Mapping[str, Any]) -> set[str]:
    """The global indexes of a table."""
    listed = resource.get("Properties", {}).get("GlobalSecondaryIndexes", ())
    return {each["IndexName"] for each in listed}


def changed(old: Resources, new: Resources) -> Iterator[str]:
    """A line for each thing that a deployment of `new` over `old` would replace or be refused."""
    for name, resource in old.items():
        if resource["Type"] not in ("AWS::DynamoDB::Table", "AWS::Cognito::UserPool"):
            continue
        if name not in new or new[name]["Type"] != resource["Type"]:
            yield f"{name} would go"
            continue
        before, after = fixed(resource), fixed(new[name])
        yield from (
            f"{name}: {each} would change, from {before[each]} to {after[each]}"
            for each in before
            if before[each] != after[each]
        )
        indexes = _indexes(resource).symmetric_difference(_indexes(new[name]))
        if len(indexes) > 1:
            yield (
                f"{name}: {', '.join(sorted(indexes))} would be made or dropped at once, and "
                "DynamoDB does one index a deployment"
            )
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if new[name].get(policy) != "Retain":
                yield f"{name} would not be retained: {policy}"
