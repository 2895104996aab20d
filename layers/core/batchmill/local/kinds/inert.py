"""Resources without an effect here: they get a name and an ARN, so that what refers to them resolves."""

from __future__ import annotations

from collections.abc import Callable

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made
from batchmill.local.moto_app import ACCOUNT, REGION


def inert(
    arn: str = "", name_property: str | None = None, limit: int = 255, *, ref: str = "name", also: str = ""
) -> Callable[[Wanted], Made]:
    """Makes nothing.

    `arn` is a pattern with {name}, {region}, {account}; `ref` says whether Ref gives the `name` or the `arn`;
    `also` names a further attribute that gives the name.
    """

    def make(wanted: Wanted) -> Made:
        name = wanted.name(name_property, limit)
        whole = arn.format(name=name, region=REGION, account=ACCOUNT)
        attributes = {"Arn": whole} if arn else {}
        if also:
            attributes[also] = name
        return Made(whole if ref == "arn" else name, attributes)

    return make
