//! Sound that was made for other rates than 8 kHz, over real sockets.

use crate::agents;
use crate::examined::expect;
use crate::server::Server;

#[tokio::test]
async fn the_wrong_rate_is_named() {
    expect(vec![
        (Server::good(|socket| agents::at_rate(socket, 2, false)).await, "Fails wrong-rate"),
        (Server::good(|socket| agents::at_rate(socket, 3, false)).await, "Fails wrong-rate"),
        (Server::good(|socket| agents::at_rate(socket, 3, true)).await, "Fails wrong-rate"),
        (Server::good(|socket| agents::at_rate(socket, 1, true)).await, "none"),
    ])
    .await;
}
