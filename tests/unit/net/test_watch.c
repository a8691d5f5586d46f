#include "base/check.h"
#include "base/log.h"
#include "loop_driver.h"
#include "net/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    struct loop *loop;
    struct watch watch;
    int changes;
    bool closes_itself;
    bool has_closed;
    char root[64];
};

static void on_closed(struct watch *watch)
{
    CONTAINER_OF(watch, struct scene, watch)->has_closed = true;
}

static void on_change(struct watch *watch)
{
    struct scene *scene = CONTAINER_OF(watch, struct scene, watch);
    scene->changes++;
    if (scene->closes_itself) {
        watch_close(watch, on_closed);
    }
}

static const char *in(const struct scene *scene, const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", scene->root, name);
    return path;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
    close(fd);
}

static void scene_open(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    scene->loop = driver_loop();
    snprintf(scene->root, sizeof(scene->root), "/tmp/outrigger-watch-XXXXXX");
    cr_assert_not_null(mkdtemp(scene->root));
}

static void scene_watch(struct scene *scene, const char *path)
{
    cr_assert_eq(watch_open(&scene->watch, scene->loop, &path, 1, on_change), OK);
}

static void scene_close(struct scene *scene)
{
    char command[128];
    if (!scene->has_closed) {
        watch_close(&scene->watch, on_closed);
        TURN_UNTIL(scene->loop, scene->has_closed);
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", scene->root);
    cr_assert(system(command) == 0);
    loop_free(&scene->loop);
}

/* Until an event has been seen, and then as if its 100 ms had passed. */
static void look(struct scene *scene)
{
    TURN_UNTIL(scene->loop, scene->watch.hinted_at != MONO_NEVER || scene->changes > 0);
    driver_settle(scene->loop);
    if (scene->watch.hinted_at != MONO_NEVER) {
        wheel_clear(scene->loop->wheel, &scene->watch.debounce);
        scene->watch.debounce.on_fire(&scene->watch.debounce, scene->loop->now);
    }
}

Test(watch, sees_a_file_written_in_place)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, in(&scene, "a.yaml"));
    put(in(&scene, "a.yaml"), "other");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    scene_close(&scene);
}

Test(watch, sees_an_editor_rename_over_the_file_again_and_again)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, in(&scene, "a.yaml"));
    for (int i = 1; i <= 3; i++) {
        put(in(&scene, "a.yaml.tmp"), "two");
        cr_assert(rename(in(&scene, "a.yaml.tmp"), in(&scene, "a.yaml")) == 0);
        look(&scene);
        cr_assert_eq(scene.changes, i);
    }
    scene_close(&scene);
}

Test(watch, sees_a_file_appear_and_vanish)
{
    struct scene scene;
    scene_open(&scene);
    scene_watch(&scene, in(&scene, "later.yaml"));
    put(in(&scene, "later.yaml"), "x");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    cr_assert(unlink(in(&scene, "later.yaml")) == 0);
    look(&scene);
    cr_assert_eq(scene.changes, 2);
    scene_close(&scene);
}

static void make_config_map(struct scene *scene)
{
    cr_assert(mkdir(in(scene, "..v1"), 0700) == 0 && mkdir(in(scene, "..v2"), 0700) == 0);
    put(in(scene, "..v1/a.yaml"), "one");
    put(in(scene, "..v2/a.yaml"), "two");
    cr_assert(symlink("..v1", in(scene, "..data")) == 0);
    cr_assert(symlink("..data/a.yaml", in(scene, "a.yaml")) == 0);
}

static void swap_config_map(struct scene *scene, const char *version)
{
    cr_assert(symlink(version, in(scene, "..data_tmp")) == 0);
    cr_assert(rename(in(scene, "..data_tmp"), in(scene, "..data")) == 0);
}

Test(watch, sees_the_symlink_swap_of_a_config_map_when_a_file_is_watched)
{
    struct scene scene;
    scene_open(&scene);
    make_config_map(&scene);
    scene_watch(&scene, in(&scene, "a.yaml"));
    swap_config_map(&scene, "..v2");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    swap_config_map(&scene, "..v1");
    look(&scene);
    cr_assert_eq(scene.changes, 2);
    scene_close(&scene);
}

Test(watch, sees_the_symlink_swap_of_a_config_map_when_the_folder_is_watched)
{
    struct scene scene;
    scene_open(&scene);
    make_config_map(&scene);
    scene_watch(&scene, scene.root);
    swap_config_map(&scene, "..v2");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    scene_close(&scene);
}

Test(watch, follows_a_symlink_into_another_folder)
{
    struct scene scene;
    scene_open(&scene);
    cr_assert(mkdir(in(&scene, "real"), 0700) == 0 && mkdir(in(&scene, "link"), 0700) == 0);
    put(in(&scene, "real/a.yaml"), "one");
    cr_assert(symlink("../real/a.yaml", in(&scene, "link/a.yaml")) == 0);
    scene_watch(&scene, in(&scene, "link/a.yaml"));
    put(in(&scene, "real/a.yaml"), "other");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    scene_close(&scene);
}

Test(watch, sees_files_come_and_go_in_a_folder)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, scene.root);
    put(in(&scene, "b.yaml"), "two");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    cr_assert(rename(in(&scene, "b.yaml"), in(&scene, "c.yaml")) == 0);
    look(&scene);
    cr_assert_eq(scene.changes, 2);
    cr_assert(unlink(in(&scene, "a.yaml")) == 0);
    look(&scene);
    cr_assert_eq(scene.changes, 3);
    scene_close(&scene);
}

Test(watch, ignores_neighbours_and_hidden_files)
{
    struct scene scene;
    scene_open(&scene);
    cr_assert(mkdir(in(&scene, "d"), 0700) == 0);
    put(in(&scene, "d/a.yaml"), "one");
    scene_watch(&scene, in(&scene, "d"));
    put(in(&scene, "d/.a.yaml.swp"), "editing");
    look(&scene);
    put(in(&scene, "neighbour"), "x");
    look(&scene);
    cr_assert_eq(scene.changes, 0);
    scene_close(&scene);
}

Test(watch, makes_one_callback_of_a_burst)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, in(&scene, "a.yaml"));
    for (int i = 0; i < 5; i++) {
        put(in(&scene, "a.yaml"), &"burst"[i]);
        driver_settle(scene.loop);
    }
    cr_assert_eq(scene.changes, 0);
    mono_ns first = scene.watch.hinted_at;
    cr_assert(first != MONO_NEVER);
    TURN_UNTIL(scene.loop, scene.changes == 1); /* by its own timer */
    cr_assert(mono_since(scene.loop->now, first) >= WATCH_DEBOUNCE);
    driver_settle(scene.loop);
    cr_assert_eq(scene.changes, 1);
    scene_close(&scene);
}

Test(watch, looks_at_a_file_that_never_rests_once_a_second)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, in(&scene, "a.yaml"));
    put(in(&scene, "a.yaml"), "two");
    TURN_UNTIL(scene.loop, scene.watch.hinted_at != MONO_NEVER);
    scene.watch.hinted_at =
        scene.loop->now - WATCH_DEBOUNCE_MAX; /* it has been written to for a second */
    mono_ns due = scene.watch.hinted_at + WATCH_DEBOUNCE_MAX;
    put(in(&scene, "a.yaml"), "three");
    TURN_UNTIL(scene.loop, scene.watch.debounce.at == due || scene.changes == 1);
    TURN_UNTIL(scene.loop, scene.changes == 1);
    scene_close(&scene);
}

Test(watch, finds_a_change_by_looking_when_no_event_came)
{
    struct scene scene;
    scene_open(&scene);
    put(in(&scene, "a.yaml"), "one");
    scene_watch(&scene, in(&scene, "a.yaml"));
    uv_poll_stop(&scene.watch.poll); /* as on a network file system */
    put(in(&scene, "a.yaml"), "other");
    driver_settle(scene.loop);
    cr_assert_eq(scene.watch.hinted_at, MONO_NEVER);
    cr_assert(timer_is_set(&scene.watch.fallback));
    scene.watch.fallback.on_fire(&scene.watch.fallback, scene.loop->now);
    cr_assert(timer_is_set(&scene.watch.fallback), "and again later");
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    scene.watch.fallback.on_fire(&scene.watch.fallback, scene.loop->now);
    cr_assert_eq(scene.watch.hinted_at, MONO_NEVER);
    scene_close(&scene);
}

Test(watch, works_without_inotify_and_may_be_closed_by_its_callback)
{
    struct scene scene;
    struct rlimit before;
    scene_open(&scene);
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    put(in(&scene, "a.yaml"), "one");
    cr_assert(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
    scene_watch(&scene, in(&scene, "a.yaml"));
    cr_assert(setrlimit(RLIMIT_NOFILE, &before) == 0);
    cr_assert_eq(scene.watch.fd, -1);
    put(in(&scene, "a.yaml"), "other");
    scene.watch.fallback.on_fire(&scene.watch.fallback, scene.loop->now);
    scene.closes_itself = true;
    look(&scene);
    cr_assert_eq(scene.changes, 1);
    TURN_UNTIL(scene.loop, scene.has_closed);
    scene_close(&scene);
}
