/* A whole guest: a PVH kernel of one page or two that speaks to its xenstore ring itself, as no operating system would.
 *
 * It is told what to do by its command line (WHAT), or by /local/domain/N/data/do, which it watches:
 *   obey                       wait for data/do
 *   count                      numbers in data/n, some ten a second, each read back; data/ping is answered in data/pong; until data/stop
 *   poweroff reboot crash soft shut down for that reason; after a soft reset it goes on and obeys
 *   fault                      crash as a processor does: an exception that nobody handles
 *   indexes frame noise reconnect busy forge
 *                              garbage in its ring, and notifications, as often as it can, until the processor is wanted
 *
 * Sources: xen/include/public: arch-x86/hvm/start_info.h, hvm/params.h, sched.h, event_channel.h, io/xs_wire.h,
 * io/console.h. Protected mode without paging, so that every address is a physical one. Built by kernel.sh.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { MEMORY_OP = 12, SCHED_OP = 29, EVTCHN_OP = 32, HVM_OP = 34 };
enum { SHUTDOWN = 2, POLL = 3, SEND = 4, ADD_TO_PHYSMAP = 7, GET_PARAM = 1 };
enum { STORE_PFN = 1, STORE_PORT = 2, CONSOLE_PFN = 17, CONSOLE_PORT = 18 };
enum { POWEROFF = 0, REBOOT = 1, CRASH = 3, SOFT_RESET = 5 };
enum { DIRECTORY = 1, READ = 2, WATCH = 4, WRITE = 11, EVENT = 15, ERROR = 16 };
enum { SELF = 0x7FF0, ROOM = 1024, MOST = 4096 };

struct ring {
	u8 request[ROOM], response[ROOM];
	volatile u32 request_cons, request_prod, response_cons, response_prod, features, connection, error, port;
};
struct console {
	u8 in[1024], out[2048];
	volatile u32 in_cons, in_prod, out_cons, out_prod;
};
struct header { u32 kind, id, transaction, length; };

static u8 hypercalls[4096] __attribute__((aligned(4096)));
static volatile u32 shared[1024] __attribute__((aligned(4096)));
static struct ring *ring;
static struct console *console;
static u32 store_port, console_port, events, pinged, told;
static char answer[MOST + 1];

/* The entry that the note names: EBX is where the start information lies. */
asm(".pushsection .note.Xen, \"a\", @note\n .align 4\n .long 4, 4, 18\n .asciz \"Xen\"\n .long start\n .popsection\n"
    ".text\n .globl start\n start:\n mov $stack_end, %esp\n push %ebx\n call begin\n"
    ".bss\n .align 16\n .skip 16384\n stack_end:\n .text\n");

static u32 hypercall(u32 number, u32 first, u32 second)
{
	u32 status, at = (u32)hypercalls + number * 32;
	asm volatile("call *%1" : "=a"(status) : "r"(at), "b"(first), "c"(second) : "memory", "cc");
	return status;
}

static u32 length(const char *text) { u32 n = 0; while (text[n]) n++; return n; }
static int same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }
static int within(const char *part, const char *text)
{
	for (; *text; text++) {
		u32 n = 0;
		while (part[n] && part[n] == text[n]) n++;
		if (!part[n]) return 1;
	}
	return 0;
}
static char *decimal(u32 number, char *end)
{
	*--end = 0;
	do *--end = '0' + number % 10; while (number /= 10);
	return end;
}
static u32 noise(void)
{
	static u32 state = 7;
	state ^= state << 13; state ^= state >> 17;
	return state ^= state << 5;
}

static void notify(u32 port) { hypercall(EVTCHN_OP, SEND, (u32)&port); }

static void say(const char *text)
{
	for (; *text; text++) {
		while (console->out_prod - console->out_cons >= sizeof console->out) notify(console_port);
		console->out[console->out_prod % sizeof console->out] = *text;
		asm volatile("" ::: "memory");
		console->out_prod++;
	}
	notify(console_port);
}
static void say_number(const char *before, u32 number, const char *after)
{
	char digits[12];
	say(before); say(decimal(number, digits + sizeof digits)); say(after);
}

/* Sleep until the store's port fires; what it said is then taken as said. */
static void wait(void)
{
	struct { u32 *ports, count; u64 timeout; } poll = { &store_port, 1, 0 };
	if (!(shared[512] & 1u << store_port)) hypercall(SCHED_OP, POLL, (u32)&poll);
	__atomic_fetch_and(&shared[512], ~(1u << store_port), __ATOMIC_SEQ_CST);
}

/* As Xen tells time: what it was at some moment, and how many nanoseconds the processor's counter has gone on since. */
static u64 time_now(void)
{
	volatile u32 *said = shared + 8;
	volatile u8 *shift = (volatile u8 *)(said + 7);
	u32 version, factor;
	u64 at, counter, since;
	do {
		version = said[0];
		counter = said[2] | (u64)said[3] << 32; at = said[4] | (u64)said[5] << 32; factor = said[6];
		since = __builtin_ia32_rdtsc() - counter;
		since = (signed char)*shift < 0 ? since >> -(signed char)*shift : since << *shift;
	} while (version & 1 || version != said[0]);
	return at + (since >> 32) * factor + ((u64)(u32)since * factor >> 32);
}

static void sleep(u32 milliseconds)
{
	struct { u32 *ports, count; u64 timeout; } poll = { 0, 0, time_now() + milliseconds * 1000000ull };
	hypercall(SCHED_OP, POLL, (u32)&poll);
}

static void put(const void *bytes, u32 count)
{
	for (const u8 *at = bytes; count; count--) {
		while (ring->request_prod - ring->request_cons >= ROOM) { notify(store_port); wait(); }
		ring->request[ring->request_prod % ROOM] = *at++;
		asm volatile("" ::: "memory");
		ring->request_prod++;
	}
}
static void take(void *bytes, u32 count)
{
	for (u8 *at = bytes; count; count--) {
		while (ring->response_prod == ring->response_cons) { notify(store_port); wait(); }
		*at++ = ring->response[ring->response_cons % ROOM];
		asm volatile("" ::: "memory");
		ring->response_cons++;
	}
}

/* The next message into `answer`; its kind. */
static u32 message(void)
{
	struct header head;
	take(&head, sizeof head);
	take(answer, head.length);
	answer[head.length] = 0;
	if (head.kind == EVENT) {
		events++;
		if (within("ping", answer)) pinged = 1;
		if (within("stop", answer) || within("/do", answer)) told = 1;
	}
	return head.kind;
}

/* Ask, with up to two strings, the last of them without its NUL if it is a value. */
static int ask(u32 kind, const char *first, const char *second)
{
	u32 end = kind != WRITE, more = second ? length(second) + end : 0;
	struct header head = { kind, 7, 0, length(first) + 1 + more };
	put(&head, sizeof head); put(first, length(first) + 1);
	if (second) put(second, more);
	notify(store_port);
	u32 found;
	while ((found = message()) == EVENT) {}
	notify(store_port);
	return found == kind;
}

static u32 parameter(u32 index)
{
	struct { u16 domain, none; u32 index; u64 value; } asked = { SELF, 0, index, 0 };
	hypercall(HVM_OP, GET_PARAM, (u32)&asked);
	return asked.value;
}

/* After the start, and after a soft reset, in which pages and channels are others. */
static void connect(void)
{
	struct { u16 domain, size; u32 space, index, frame; } place = { SELF, 0, 0, 0, (u32)shared >> 12 };
	hypercall(MEMORY_OP, ADD_TO_PHYSMAP, (u32)&place);
	ring = (struct ring *)(parameter(STORE_PFN) << 12);
	store_port = parameter(STORE_PORT);
	console = (struct console *)(parameter(CONSOLE_PFN) << 12);
	console_port = parameter(CONSOLE_PORT);
}

static void shut_down(u32 reason) { hypercall(SCHED_OP, SHUTDOWN, (u32)&reason); }

static void count(void)
{
	u32 number = 0, wrong = 0, pings = 0;
	char digits[12];
	ask(WATCH, "data/ping", "ping"); ask(WATCH, "data/stop", "stop");
	say("counts\n");
	for (told = 0;; number++, sleep(100)) {
		char *text = decimal(number, digits + sizeof digits);
		if (!ask(WRITE, "data/n", text)) { wrong++; say_number("== refused ", number, "\n"); }
		if (!ask(READ, "data/n", 0) || !same(answer, text)) { wrong++; say_number("== wrong: expected ", number, "\n"); }
		if (pinged) {
			pinged = 0;
			static char value[MOST + 1];
			if (!ask(READ, "data/ping", 0)) continue;
			for (u32 n = 0; n <= length(answer); n++) value[n] = answer[n];
			pings++;
			ask(WRITE, "data/pong", value);
		}
		if (told && (told = 0, ask(READ, "data/stop", 0) && same(answer, "1"))) break;
	}
	say_number("== counted to ", number, ""); say_number(", ", wrong, " wrong"); say_number("\n-- ", pings, " pings\n");
}

static void garbage(const char *what)
{
	say("asks\n");
	for (u32 round = 0;; round++) {
		struct header head = { READ, 0, 0, 0xFFFFFFFF };
		if (same(what, "indexes")) {
			ring->request_prod = ring->request_cons + 5000 + round;
			ring->response_cons = ring->response_prod + noise();
		} else if (same(what, "frame")) {
			for (u32 n = 0; n < sizeof head; n++) ring->request[(ring->request_prod + n) % ROOM] = ((u8 *)&head)[n];
			ring->request_prod += sizeof head;
		} else if (same(what, "noise")) {
			for (u32 n = 0; n < 64; n++) ((volatile u32 *)ring)[noise() % 1024] = noise();
		} else if (same(what, "reconnect")) {
			ring->connection = 1; ring->error = noise() % 8; ring->port = noise();
		} else if (same(what, "forge")) { /* Well-formed headers of every kind, with payloads that mean nothing. */
			u32 size = noise() % 64;
			head = (struct header){ noise() % 32, noise(), noise() % 4, size };
			for (u32 n = 0; n < sizeof head + size; n++)
				ring->request[(ring->request_prod + n) % ROOM] = n < sizeof head ? ((u8 *)&head)[n] : noise();
			if (ring->request_prod - ring->request_cons < ROOM - 128) ring->request_prod += sizeof head + size;
			ring->response_cons = ring->response_prod;
		}
		notify(store_port); /* "busy" does nothing else. */
	}
}

static void obey(const char *what)
{
	if (same(what, "obey")) {
		ask(WATCH, "data/do", "do");
		say("obeys\n");
		for (;;) {
			while (!told) message();
			told = 0;
			if (ask(READ, "data/do", 0) && answer[0]) { static char next[MOST + 1];
				for (u32 n = 0; n <= length(answer); n++) next[n] = answer[n];
				ask(WRITE, "data/do", ""); obey(next); }
		}
	}
	if (same(what, "count")) count();
	else if (same(what, "poweroff")) shut_down(POWEROFF);
	else if (same(what, "reboot")) shut_down(REBOOT);
	else if (same(what, "crash")) shut_down(CRASH);
	else if (same(what, "fault")) asm volatile("lidt %0\n ud2" :: "m"(*(u64 *)hypercalls));
	else if (same(what, "soft")) {
		shut_down(SOFT_RESET);
		connect();
		say("was reset\n");
		ask(WRITE, "data/reset", "1");
		obey("obey");
	} else garbage(what);
}

void begin(u8 *info)
{
	u32 base = 0x40000000, eax, ebx, ecx, edx;
	asm volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(base + 2), "c"(0));
	asm volatile("wrmsr" :: "c"(ebx), "a"((u32)hypercalls), "d"(0));
	connect();
	say("up\n");
	ask(WRITE, "data/up", "1");
	obey(*(char **)(info + 24));
	ask(WATCH, "data/do", "do");
	obey("obey");
}
