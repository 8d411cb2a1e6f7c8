"""A mail server for tests: prints its ports, then each mail that it takes as a line of JSON.

usage: mail.py CERTIFICATE KEY

The ports: STARTTLS and a log-in are required; encrypted from the start; in clear, without either.
"""
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = b"salvor", b"right secret"


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(mail["subject"]),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "body": mail.get_content(),
            "encrypted": server.transport.get_extra_info("sslcontext") is not None,
            "logged_in": bool(session.authenticated),
            "defects": [str(defect) for defect in mail.defects],
        }), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, auth_data):
    known = isinstance(auth_data, LoginPassword) and (auth_data.login, auth_data.password) == (USER, PASSWORD)
    return AuthResult(success=known, handled=False)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    loop = asyncio.get_running_loop()
    strict = {"tls_context": context, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    servers = [
        await loop.create_server(lambda: SMTP(Handler(), loop=loop, **strict), "127.0.0.1", 0),
        await loop.create_server(lambda: SMTP(Handler(), loop=loop), "127.0.0.1", 0, ssl=context),
        await loop.create_server(lambda: SMTP(Handler(), loop=loop), "127.0.0.1", 0),
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)


asyncio.run(main())
