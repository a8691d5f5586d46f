# Outrigger in a small image: docker build -t outrigger . && docker run --rm --network host -v $PWD/my:/etc/outrigger outrigger
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

FROM debian:12-slim
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libuv1 libh2o0.13 libyaml-0-2 libc-ares2 libnghttp2-14 libjansson4 libmbedtls14 libmbedx509-1 libmbedcrypto7 \
        libnftables1 libcap2-bin \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 2102 --no-create-home --shell /usr/sbin/nologin outrigger \
    && mkdir /etc/outrigger
COPY --from=build /src/build/release/outrigger /usr/local/bin/outrigger
COPY --from=build /src/build/release/outrigger-init /usr/local/bin/outrigger-init
# +p, not +ep: without NET_ADMIN the program then starts, and says what is missing.
RUN setcap cap_net_admin+p /usr/local/bin/outrigger-init
COPY policies/default.yaml /etc/outrigger/default.yaml
USER 2102
EXPOSE 15001 15021
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/outrigger"]
CMD ["proxy", "-c", "/etc/outrigger"]
