/*
 * Prints the sections of an INF file as setupapi reads them, strings put in: a line for each line, with the
 * section, the key and the fields parted by tabs. The first argument is the file to write, the second the INF
 * file, the others are the sections.
 */
#include <stdio.h>
#include <windows.h>
#include <setupapi.h>

static WCHAR inf_path[MAX_PATH];

static int fail(const char *what, UINT line)
{
    fprintf(stderr, "%s: error 0x%08lX, line %u\n", what, GetLastError(), line);
    return 1;
}

int wmain(int count, WCHAR **arguments)
{
    INFCONTEXT context;
    WCHAR text[4096];
    UINT error_line = 0;
    HINF inf;
    FILE *out;
    int i;

    if (count < 3) {
        fprintf(stderr, "usage: setupapi OUT INF SECTION...\n");
        return 2;
    }
    /* A name without a folder would be looked for in Windows's own. */
    if (!GetFullPathNameW(arguments[2], MAX_PATH, inf_path, NULL))
        return fail("GetFullPathName", 0);
    inf = SetupOpenInfFileW(inf_path, NULL, INF_STYLE_WIN4, &error_line);
    if (inf == INVALID_HANDLE_VALUE)
        return fail("SetupOpenInfFile", error_line);
    out = _wfopen(arguments[1], L"wb");
    if (out == NULL)
        return fail("fopen", 0);
    for (i = 3; i < count; i++) {
        if (!SetupFindFirstLineW(inf, arguments[i], NULL, &context)) {
            fprintf(stderr, "%ls: ", arguments[i]);
            return fail("SetupFindFirstLine", 0);
        }
        do {
            DWORD fields = SetupGetFieldCount(&context), field;

            fprintf(out, "%ls", arguments[i]);
            /* Field 0 is the key; a line without one repeats its first field there. */
            for (field = 0; field <= fields; field++) {
                if (!SetupGetStringFieldW(&context, field, text, 4096, NULL))
                    text[0] = 0;
                fprintf(out, "\t%ls", text);
            }
            fprintf(out, "\n");
        } while (SetupFindNextLine(&context, &context));
    }
    SetupCloseInfFile(inf);
    return fclose(out) == 0 ? 0 : fail("fclose", 0);
}
