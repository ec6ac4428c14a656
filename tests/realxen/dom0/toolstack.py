"""What xl does not do, or not without the daemon: `toolstack.py VERB DOMID`.

    soft-reset DOMID    a domain that has shut down for that is reset, introduced with new channels, and goes on
    destroy DOMID       nobody but the hypervisor is asked
    create DOMID        a domain of that number, with no memory and another handle, which nobody is told of
    hold DOMID          its store's page is mapped until standard input ends

Sources: xen/tools/include/xenctrl.h of 4.17, xen/include/public/domctl.h.
"""

import ctypes
import struct
import sys

from xsadapter.client import Client
from xsadapter.operations import Kind
from xsadapter.transport.devices import Grants
from xsadapter.transport.system import Linux

_STORE_PFN, _STORE_PORT, _CONSOLE_PORT = 1, 2, 18
_HANDLE = bytes(range(0x40, 0x50))

_xc = ctypes.CDLL("libxenctrl.so.4.17", use_errno=True)
_xc.xc_interface_open.restype = ctypes.c_void_p
_handle = ctypes.c_void_p(_xc.xc_interface_open(None, None, 0))


def _call(name: str, *arguments: object) -> int:
    answer = getattr(_xc, name)(_handle, *arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(answer)


def soft_reset(domid: int) -> None:
    """What libxl does for an HVM domain; for a PVH one it refuses, and destroys it."""
    _call("xc_domain_pause", domid)
    _call("xc_domain_soft_reset", domid)
    ports = {}
    for parameter in (_STORE_PORT, _CONSOLE_PORT):
        ports[parameter] = _call("xc_evtchn_alloc_unbound", domid, 0)
        _call("xc_hvm_param_set", domid, parameter, ctypes.c_uint64(ports[parameter]))
    frame = ctypes.c_uint64()
    _call("xc_hvm_param_get", domid, _STORE_PFN, ctypes.byref(frame))
    with Client() as daemon:
        daemon.ask(Kind.INTRODUCE, b"%d\0%d\0%d\0" % (domid, frame.value, ports[_STORE_PORT]))
    _call("xc_domain_unpause", domid)


def destroy(domid: int) -> None:
    """The domain is a zombie from then on, until nobody maps a page of it."""
    _call("xc_domain_destroy", domid)


def create(domid: int) -> None:
    """PV, one processor."""
    config = bytearray(256)
    #                                    handle, flags, iommu, vcpus, evtchn, grant frames, maptrack, version
    struct.pack_into("=I16sIIIiiiI", config, 0, 0, _HANDLE, 0, 0, 1, 1023, 4, 16, 1)
    given = ctypes.c_uint32(domid)
    _call("xc_domain_create", ctypes.byref(given), (ctypes.c_char * 256).from_buffer(config))


def hold(domid: int) -> None:
    """As any other program that maps grants of it."""
    page = Grants(Linux()).map(domid, 1)
    print("held", flush=True)
    sys.stdin.read()
    page.close()


_verbs = {"soft-reset": soft_reset, "destroy": destroy, "create": create, "hold": hold}
_verbs[sys.argv[1]](int(sys.argv[2]))
