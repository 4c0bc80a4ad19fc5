/* replay [DIR]: runs one fuzzer over the files of DIR, and over no bytes at
 * all. So every build, not only clang's, keeps the seeds passing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as large as the file, for the sanitizers to see its end. */
static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    int err = -1;

    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size > 0)
        data = malloc((size_t)size);
    if (data != NULL) {
        rewind(f);
        if (fread(data, 1, (size_t)size, f) == (size_t)size)
            err = LLVMFuzzerTestOneInput(data, (size_t)size);
    } else if (size == 0) {
        err = 0;
    }
    free(data);
    if (f != NULL)
        fclose(f);
    if (err != 0)
        fprintf(stderr, "cannot run %s\n", path);
    return err;
}

int main(int argc, char **argv)
{
    uint8_t none = 0;
    int count = 0;
    int failed = LLVMFuzzerTestOneInput(&none, 0) != 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char path[4096];

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        failed += run_file(path) != 0;
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    printf("%d seeds\n", count);
    return failed != 0;
}
