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
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if new[name].get(policy) != "Retain":
                yield f"{name} would not be retained: {policy}"


def indexes_at_once(old: Resources, new: Resources) -> list[str]:
    """The global indexes that a deployment would make or drop: DynamoDB does one at a time."""
    before, after = (
        {index["IndexName"] for index in each["Table"]["Properties"]["GlobalSecondaryIndexes"]}
        for each in (old, new)
    )
    return sorted(before ^ after)
