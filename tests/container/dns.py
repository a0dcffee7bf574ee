"""A name server for tests: every name has the one IPv4 address that a file holds, looked up again at each question."""

import sys

from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer


class OneAddress(BaseResolver):
    def resolve(self, request, handler):
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            with open(sys.argv[1]) as file:
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(file.read().strip()), ttl=0))
        return reply


DNSServer(OneAddress(), address="127.0.0.1", port=53, logger=DNSLogger("error")).start()
