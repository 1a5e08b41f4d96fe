//! Test hosts: network namespaces, one for the servers and the clients and one for each node, so that a node
//! can be cut off from one server while it reaches all else. They take root, `ip` and `nft`.

use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::process::Command;

/// Names the hosts to the process that runs among them.
const ENVIRONMENT: &str = "LEVEE_FAULTS_HOSTS";

/// Where the servers and the clients are: of a range that is kept for documentation, so that no real host is
/// ever meant.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The hosts. Whoever made them removes them when they are dropped.
pub(crate) struct Hosts {
    prefix: String,
    nodes: usize,
    made: bool,
}

impl Hosts {
    /// Makes the hosts.
    ///
    /// # Errors
    /// Says what is missing for that.
    pub(crate) fn make(nodes: usize) -> Result<Self> {
        let prefix = format!("levee-{}", std::process::id());
        let hosts = Self { prefix, nodes, made: true };
        hosts.build().context("network namespaces take root, iproute2 and nftables")?;
        Ok(hosts)
    }

    /// The hosts among which this process was started, if it was.
    pub(crate) fn around(nodes: usize) -> Option<Self> {
        Some(Self { prefix: std::env::var(ENVIRONMENT).ok()?, nodes, made: false })
    }

    fn build(&self) -> Result<()> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "set", "lo", "up"])?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "addr", "add", &format!("{HUB}/24"), "dev", "br0"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        for number in 0..self.nodes {
            let (node, cable) = (self.node(number), format!("v{number}"));
            ip(&["netns", "add", &node])?;
            ip(&[
                "link", "add", &cable, "netns", &hub, "type", "veth", "peer", "name", "eth0", "netns", &node,
            ])?;
            ip(&["-n", &hub, "link", "set", &cable, "master", "br0", "up"])?;
            ip(&["-n", &node, "link", "set", "lo", "up"])?;
            let address = format!("{}/24", Self::address(number));
            ip(&["-n", &node, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &node, "link", "set", "eth0", "up"])?;
            self.nft(number, "add table inet cut")?;
            for hook in ["input", "output"] {
                self.nft(
                    number,
                    &format!("add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}"),
                )?;
            }
        }
        Ok(())
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.prefix)
    }

    fn node(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// A node's address.
    pub(crate) fn address(number: usize) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, 10 + number as u8)
    }

    /// A command that runs among the servers.
    pub(crate) fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hub()]).arg(program).env(ENVIRONMENT, &self.prefix);
        command
    }

    /// A command that runs on a node's host, as the process that is started.
    pub(crate) fn on(&self, number: usize, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.node(number)]).arg(program);
        command
    }

    /// Lets nothing through between a node and a port of the servers' host.
    pub(crate) fn cut(&self, number: usize, port: u16) -> Result<()> {
        self.nft(number, &format!("add rule inet cut output ip daddr {HUB} tcp dport {port} drop"))?;
        self.nft(number, &format!("add rule inet cut input ip saddr {HUB} tcp sport {port} drop"))
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self, number: usize) -> Result<()> {
        self.nft(number, "flush table inet cut")
    }

    fn nft(&self, number: usize, statement: &str) -> Result<()> {
        run(Command::new("ip").args(["netns", "exec", &self.node(number), "nft", statement]))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if self.made {
            for name in (0..self.nodes).map(|number| self.node(number)).chain([self.hub()]) {
                // One that was not made is not there to be removed.
                let _ = ip(&["netns", "delete", &name]);
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
