"""A FastAPI application with FastAPI Users and our user manager; the arguments are URL and addresses."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import httpx
from fastapi import FastAPI
from fastapi_users import FastAPIUsers, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase

from tests.clients.inbox import Inbox
from tests.clients.tools import blocks

ada, ada_new = sys.argv[1:]
SECRET = os.environ["SECRET"]


@dataclass
class User:
    """A user in memory."""

    id: uuid.UUID
    email: str
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False


class Database(BaseUserDatabase[User, uuid.UUID]):
    """The users of one process."""

    users: ClassVar[dict[uuid.UUID, User]] = {}

    async def get(self, id: uuid.UUID) -> User | None:
        return self.users.get(id)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.users.values() if user.email == email), None)

    async def create(self, create_dict: dict[str, Any]) -> User:
        user = User(uuid.uuid4(), **create_dict)
        self.users[user.id] = user
        return user

    async def update(self, user: User, update_dict: dict[str, Any]) -> User:
        for name, value in update_dict.items():
            setattr(user, name, value)
        return user


documented: dict[str, Any] = {}  # the modules of docs/integrations/fastapi-users.md
sys.modules["myproject.models"] = sys.modules[__name__]
for name in ("mailroom", "mailroom_fastapi_users"):
    sys.modules[f"myproject.{name}"] = import_module(f"clients.python.{name}")
for _, code in blocks("integrations/fastapi-users"):
    exec(code, documented)  # noqa: S102 - it is ours


async def get_user_manager() -> AsyncIterator[Any]:
    yield documented["UserManager"](Database())


def strategy() -> JWTStrategy[User, uuid.UUID]:
    return JWTStrategy(SECRET, lifetime_seconds=3600)


backend = AuthenticationBackend("jwt", BearerTransport("auth/login"), strategy)
users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
UserRead = schemas.BaseUser[uuid.UUID]
app = FastAPI()
app.include_router(users.get_auth_router(backend), prefix="/auth")
app.include_router(users.get_register_router(UserRead, schemas.BaseUserCreate), prefix="/auth")
app.include_router(users.get_verify_router(UserRead), prefix="/auth")
app.include_router(users.get_reset_password_router(), prefix="/auth")
app.include_router(users.get_users_router(UserRead, schemas.BaseUserUpdate), prefix="/users")


async def main() -> dict[str, Any]:
    inbox, results = Inbox(os.environ["MAILROOM_URL"]), {}
    headers = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
    transport = httpx.ASGITransport(app)

    async def token(to: str, kind: str) -> str:
        link = await asyncio.to_thread(inbox.link, to, kind)
        return link.partition("token=")[2]

    async with httpx.AsyncClient(transport=transport, base_url="https://app.example.com", headers=headers) as client:

        async def post(path: str, **body: str) -> Any:
            response = await client.post(path, json=body)
            assert response.status_code < 300, response.text
            return response.json() if response.content else None

        await post("/auth/register", email=ada, password="Quartz-Lamp-71")
        verified = await post("/auth/verify", token=await token(ada, "email-confirmation"))
        results["verified"] = verified["is_verified"]
        await post("/auth/forgot-password", email=ada)
        await post("/auth/reset-password", token=await token(ada, "password-reset"), password="Second-Lamp-72")
        results["notice"] = (await asyncio.to_thread(inbox.mail, ada, "security-notice"))["subject"]
        signed_in = await client.post("/auth/login", data={"username": ada, "password": "Second-Lamp-72"})
        client.headers["authorization"] = f"Bearer {signed_in.json()['access_token']}"
        changed = await client.patch("/users/me", json={"email": ada_new})
        results["changed"] = changed.json()["email"]
        verified = await post("/auth/verify", token=await token(ada_new, "email-confirmation"))
        results["verified again"] = verified["is_verified"]
    transport = httpx.ASGITransport(documented["app"])
    async with httpx.AsyncClient(transport=transport, base_url="https://app.example.com") as client:
        results["endpoint"] = (await client.post("/sign-in", params={"email": ada_new})).json()["status"]
    return results


print(json.dumps(asyncio.run(main())))
