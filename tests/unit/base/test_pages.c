/* Pages of the program itself, given back while it runs. */
#include "base/pages.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 64

static char path[] = "/tmp/outrigger-pages-XXXXXX";
static int fd;

static void make_file(void)
{
    char page[PAGE];
    fd = mkstemp(path);
    memset(page, 'a', sizeof page);
    for (int i = 0; i < PAGES; i++)
        cr_assert_eq(write(fd, page, sizeof page), (ssize_t)sizeof page);
}

static void remove_file(void)
{
    close(fd);
    unlink(path);
}

TestSuite(pages, .init = make_file, .fini = remove_file);

static char *map_and_touch(void)
{
    char *map = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    volatile char sum = 0;
    for (int i = 0; i < PAGES; i++)
        sum = (char)(sum + map[(size_t)i * PAGE]);
    return map;
}

static int resident(char *map)
{
    FILE *file = fopen("/proc/self/pagemap", "re");
    int count = 0;
    for (int i = 0; i < PAGES; i++) {
        uint64_t entry = 0;
        cr_assert_eq(fseeko(file, (off_t)(((uintptr_t)map / PAGE + (uintptr_t)i) * 8), SEEK_SET),
                     0);
        cr_assert_eq(fread(&entry, sizeof entry, 1, file), 1u);
        count += (int)(entry >> 63);
    }
    fclose(file);
    return count;
}

Test(pages, of_a_file_that_nobody_wrote_to_go_and_come_again)
{
    char *map = map_and_touch();
    cr_assert_eq(mprotect(map, (size_t)PAGES * PAGE, PROT_READ), 0);
    cr_assert_eq(resident(map), PAGES);
    cr_assert_geq(pages_give_back(), (size_t)PAGES * PAGE);
    cr_assert_eq(resident(map), 0);
    cr_assert_eq(map[(size_t)PAGE * 3], 'a', "it comes again");
}

Test(pages, of_a_mapping_that_was_written_to_stay)
{
    char *map = map_and_touch();
    map[(size_t)PAGE * 3] = 'b';
    cr_assert_eq(mprotect(map, (size_t)PAGES * PAGE, PROT_READ), 0);
    pages_give_back();
    cr_assert_eq(map[(size_t)PAGE * 3], 'b', "as the linker's relocations");
    cr_assert_eq(resident(map), PAGES);
}

Test(pages, that_can_be_written_to_stay)
{
    char *map = map_and_touch();
    pages_give_back();
    cr_assert_eq(resident(map), PAGES);
}
