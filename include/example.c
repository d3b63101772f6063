/*
 * Runs one litmus test on the device apclab and prints its histogram: a normal kernel APC that a thread queues
 * to itself inside a critical region runs when the region is left, and not before.
 *
 * In a Visual Studio prompt:   cl /W4 example.c
 * With mingw-w64:              x86_64-w64-mingw32-gcc -Wall -Wextra -o example.exe example.c
 *
 * Run it elevated: the device is for administrators. Exit code 0: both outcomes are as documented; 1: another
 * outcome came up; 2: the device could not be opened or refused something.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "apclab.h"

/* One lane, no variables, no events, one APC, two observed registers. */
struct program {
    apclab_program_head head;
    apclab_apc apcs[1];
    apclab_observed observed[2];
    apclab_step steps[5];
};

#define NO APCLAB_NO_REGISTER

const struct program program = {
    .head = {
        .magic = APCLAB_PROGRAM_MAGIC,
        .format = APCLAB_PROGRAM_FORMAT,
        .lanes = 1,
        .apcs = 1,
        .observed = 2,
        .length = sizeof(struct program),
        .steps = { 5 },
    },
    .apcs = { { .kind = APCLAB_APC_KIND_NORMAL, .lane = 0 } },
    .observed = {
        { .kind = APCLAB_OBSERVED_KIND_REGISTER, .owner = 0, .index = 1 },
        { .kind = APCLAB_OBSERVED_KIND_REGISTER, .owner = 0, .index = 2 },
    },
    .steps = {
        { .op = APCLAB_OP_ENTER_CRITICAL, .to = NO, .from = NO },
        { .op = APCLAB_OP_QUEUE, .to = NO, .index = 0, .from = NO },
        { .op = APCLAB_OP_RAN, .to = 1, .index = 0, .from = NO },
        { .op = APCLAB_OP_LEAVE_CRITICAL, .to = NO, .from = NO },
        { .op = APCLAB_OP_RAN, .to = 2, .index = 0, .from = NO },
    },
};

static HANDLE device;

static void die(const char *what, unsigned long code)
{
    fprintf(stderr, "%s: error %lu (0x%08lX)\n", what, code, code);
    exit(2);
}

/* Sends a request, waits for its reply, and gives the NTSTATUS; *written is the length of the reply. */
static int32_t ask(DWORD code, const void *input, DWORD length, void *output, DWORD room, DWORD *written)
{
    OVERLAPPED overlapped;
    int32_t status;

    memset(&overlapped, 0, sizeof overlapped);
    overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (overlapped.hEvent == NULL)
        die("CreateEvent", GetLastError());
    /* DeviceIoControl does not write to its input, it only lacks a const. */
    if (!DeviceIoControl(device, code, (void *)(uintptr_t)input, length, output, room, NULL, &overlapped)) {
        DWORD error = GetLastError();
        /* DeviceIoControl sets Internal to pending; an error that comes at once leaves it so and signals no
           event, while a warning has a status and a reply. */
        if (error != ERROR_IO_PENDING && (int32_t)overlapped.Internal == APCLAB_STATUS_PENDING)
            die("DeviceIoControl", error);
    }
    WaitForSingleObject(overlapped.hEvent, INFINITE);
    status = (int32_t)overlapped.Internal;
    *written = (DWORD)overlapped.InternalHigh;
    CloseHandle(overlapped.hEvent);
    return status;
}

int main(void)
{
    struct { apclab_header header; struct program program; } load = {
        .header = { .version = APCLAB_VERSION, .length = sizeof load },
        .program = program,
    };
    struct { apclab_header header; apclab_run_request run; } run = {
        .header = { .version = APCLAB_VERSION, .length = sizeof run },
        .run = { .iterations = 10000, .deadline_ms = 30000, .wait_deadline_ms = 1000 },
    };
    struct { apclab_header header; apclab_page_request page; } page = {
        .header = { .version = APCLAB_VERSION, .length = sizeof page },
    };
    apclab_load_reply loaded;
    apclab_run_reply done;
    struct { apclab_histogram_reply head; unsigned char outcomes[4096]; } histogram;
    const unsigned char *outcome = histogram.outcomes;
    int32_t status;
    int unexpected = 0;
    DWORD written;
    uint32_t i;

    device = CreateFileW(APCLAB_WIN32_PATH_W, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                         FILE_FLAG_OVERLAPPED, NULL);
    if (device == INVALID_HANDLE_VALUE)
        die("the device apclab can't be opened; is the driver installed, and this prompt elevated?",
            GetLastError());

    status = ask(APCLAB_IOCTL_LOAD, &load, sizeof load, &loaded, sizeof loaded, &written);
    if (status != APCLAB_STATUS_SUCCESS) {
        if (written == sizeof loaded)
            fprintf(stderr, "reason %u, lane %u, step %u, offset %u\n", (unsigned)loaded.reason,
                    (unsigned)loaded.lane, (unsigned)loaded.step, (unsigned)loaded.offset);
        die("load", (unsigned long)(uint32_t)status);
    }

    run.header.session = loaded.session;
    status = ask(APCLAB_IOCTL_RUN, &run, sizeof run, &done, sizeof done, &written);
    if (status != APCLAB_STATUS_SUCCESS)
        die("run", (unsigned long)(uint32_t)status);

    page.header.session = loaded.session;
    status = ask(APCLAB_IOCTL_HISTOGRAM, &page, sizeof page, &histogram, sizeof histogram, &written);
    if (status != APCLAB_STATUS_SUCCESS)
        die("histogram", (unsigned long)(uint32_t)status);

    printf("Histogram (%u states)\n", (unsigned)histogram.head.total);
    for (i = 0; i < histogram.head.returned; i++) {
        uint64_t count;
        int64_t values[2];

        memcpy(&count, outcome, sizeof count);
        memcpy(values, outcome + sizeof count, sizeof values);
        outcome += APCLAB_OUTCOME_SIZE(2);
        printf("%-6lu:>A:r1=%ld; A:r2=%ld;\n", (unsigned long)count, (long)values[0], (long)values[1]);
        if (values[0] != 0 || values[1] != 1)
            unexpected = 1;
    }
    if (done.timed_out != 0)
        printf("timed out: %u\n", (unsigned)done.timed_out);
    printf(unexpected ? "No\n" : "Ok\n");
    CloseHandle(device);
    return unexpected;
}
