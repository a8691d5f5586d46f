# Outrigger in a small image: docker build -t outrigger . && docker run --rm --network host -v $PWD/my:/etc/outrigger outrigger
# It holds the two binaries, the libraries that they load and the CAs of the Internet: no shell, no package manager. Runs as
# user 2102 and writes nothing, so a read-only root will do. (To look around in a pod: kubectl debug.)
FROM debian:12-slim AS build
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libh2o-dev libssl-dev libyaml-dev libc-ares-dev \
        libnghttp2-dev libjansson-dev libmbedtls-dev libnftables-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt ./
COPY proxy proxy
COPY policies/default.yaml policies/default.yaml
COPY tests/CMakeLists.txt tests/CMakeLists.txt
RUN cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    && cmake --build build/release --target outrigger outrigger-init \
    && strip build/release/outrigger build/release/outrigger-init

FROM debian:12-slim AS tools
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libcap2-bin

# The file system of the image. tests/e2e/harness/image.py follows this stage line by line where there is no Docker.
FROM tools AS tree
WORKDIR /image
RUN mkdir debs && cd debs && apt-get download -qq \
        libc6 libuv1 libh2o0.13 libwslay1 libssl3 zlib1g libyaml-0-2 libc-ares2 libnghttp2-14 libjansson4 \
        libmbedtls14 libmbedx509-1 libmbedcrypto7 \
        libnftables1 libnftnl11 libmnl0 libxtables12 libgmp10 \
        ca-certificates
# status.d is where scanners of images look for packages when there is no dpkg.
RUN mkdir -p root/var/lib/dpkg/status.d && for deb in debs/*.deb; do \
        dpkg-deb -x "$deb" root \
        && dpkg-deb -f "$deb" >"root/var/lib/dpkg/status.d/$(dpkg-deb -f "$deb" Package)" || exit 1; \
    done
RUN mkdir -p root/etc/ssl/certs && cat root/usr/share/ca-certificates/mozilla/*.crt >root/etc/ssl/certs/ca-certificates.crt \
    && find root/usr/share -mindepth 1 -maxdepth 1 ! -name doc -exec rm -r {} + \
    && find root/usr/share/doc -type f ! -name copyright -delete \
    && rm -rf root/usr/sbin root/etc/ca-certificates root/etc/ld.so.conf.d root/usr/lib/*/gconv root/usr/lib/*/engines-3 \
        root/usr/lib/*/xtables root/usr/lib/*/audit root/lib/*/libnsl* root/lib/*/libnss_hesiod*
RUN mkdir -p root/etc/outrigger root/usr/local/bin root/proc root/sys root/dev root/run \
    && echo 'outrigger:x:2102:2102::/:/usr/sbin/nologin' >root/etc/passwd \
    && echo 'outrigger:x:2102:' >root/etc/group
COPY --from=build /src/build/release/outrigger /src/build/release/outrigger-init root/usr/local/bin/
# +p, not +ep: without NET_ADMIN the program then starts, and says what is missing. BuildKit keeps it when it copies.
RUN setcap cap_net_admin+p root/usr/local/bin/outrigger-init
COPY policies/default.yaml root/etc/outrigger/default.yaml

FROM scratch
COPY --from=tree /image/root /
USER 2102:2102
EXPOSE 15001 15021
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/outrigger"]
CMD ["proxy", "-c", "/etc/outrigger"]
