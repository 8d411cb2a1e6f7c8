using System.Xml.Linq;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class BucketChecksTests
{
    static readonly S3LifecycleRule Deletes = new("", IsFiltered: false, "after 30 days", [], ExpiresOldVersions: false);

    [Fact]
    public void A_rule_that_deletes_backups_fails()
    {
        DoctorRig.AssertFound(
            Judge(Settings([Deletes])), CheckLevel.Fail, "destination", "a lifecycle rule deletes objects after 30 days",
            "the rule for all keys: what every restore needs goes too", "aws s3api get-bucket-lifecycle-configuration --bucket acme",
            FailureKind.Integrity);
        DoctorRig.AssertFound(
            Judge(Settings([Deletes with { Prefix = "salvor/app/", IsFiltered = true }])), CheckLevel.Warn, "destination",
            "a lifecycle rule deletes objects after 30 days", "where its tags or sizes match", "aws s3api");
        Assert.Equal(
            CheckLevel.Ok,
            DoctorRig.Find(Judge(Settings([Deletes with { Prefix = "logs/" }])), "destination", "no lifecycle rule deletes").Level);
    }

    [Fact]
    public void A_rule_that_archives_backups_is_told() => DoctorRig.AssertFound(
        Judge(Settings([Deletes with { ExpiresAfter = "", MovesTo = ["STANDARD_IA", "GLACIER"] }])), CheckLevel.Warn, "destination",
        "a lifecycle rule archives objects to GLACIER", "a restore then waits for hours", "remove the rule");

    [Fact]
    public void A_bucket_that_keeps_nothing_that_was_deleted_is_told()
    {
        DoctorRig.AssertFound(
            Judge(Settings([])), CheckLevel.Warn, "destination", "who has its credentials can delete everything for good",
            "versioning off, object lock off", "aws s3api put-bucket-versioning --bucket acme");
        Assert.Equal(
            CheckLevel.Ok,
            DoctorRig.Find(
                Judge(Settings([]) with { Versioning = new("Enabled", ""), ObjectLock = new("COMPLIANCE 30 days", "") }), "destination",
                "what is deleted or replaced there can be brought back").Level);
    }

    [Fact]
    public void Versions_without_end_are_told() => DoctorRig.AssertFound(
        Judge(Settings([]) with { Versioning = new("Enabled", "") }), CheckLevel.Warn, "destination",
        "versions that were deleted are kept and paid for without end", "versioning is Enabled", "delete noncurrent versions");

    [Fact]
    public void What_may_not_be_seen_is_unknown()
    {
        var checks = Judge(new S3BucketSettings(new(null, "may not"), new("off", ""), new(null, "may not")));

        Assert.False(DoctorRig.Find(checks, "destination", "whether the bucket keeps versions").Known);
        var lifecycle = DoctorRig.Find(checks, "destination", "whether a lifecycle rule deletes");
        Assert.Equal((CheckLevel.Warn, "could not tell: may not", false), (lifecycle.Level, lifecycle.Detail, lifecycle.Known));
        Assert.Contains("Allow s3:GetLifecycleConfiguration", lifecycle.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void The_answers_of_amazon_are_understood()
    {
        const string Namespace = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
        Assert.Equal("off", S3BucketSettings.VersioningIn(XElement.Parse($"<VersioningConfiguration {Namespace}/>")));
        Assert.Equal(
            "Suspended",
            S3BucketSettings.VersioningIn(
                XElement.Parse($"<VersioningConfiguration {Namespace}><Status>Suspended</Status></VersioningConfiguration>")));
        Assert.Equal("off", S3BucketSettings.ObjectLockIn(null));
        Assert.Equal("GOVERNANCE 14 days", S3BucketSettings.ObjectLockIn(XElement.Parse(
            $"""
            <ObjectLockConfiguration {Namespace}><ObjectLockEnabled>Enabled</ObjectLockEnabled>
              <Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>14</Days></DefaultRetention></Rule>
            </ObjectLockConfiguration>
            """)));
        var rules = S3BucketSettings.LifecycleIn(XElement.Parse(
            $"""
            <LifecycleConfiguration {Namespace}>
              <Rule><ID>a</ID><Filter><Prefix>salvor/</Prefix></Filter><Status>Enabled</Status>
                <Transition><Days>10</Days><StorageClass>GLACIER</StorageClass></Transition>
                <Expiration><Days>365</Days></Expiration></Rule>
              <Rule><ID>b</ID><Filter><And><Prefix/><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status>
                <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>
                <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
              <Rule><ID>c</ID><Prefix/><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>
            </LifecycleConfiguration>
            """));
        Assert.Equal(2, rules.Count);
        Assert.Equal(("salvor/", false, "after 365 days", "GLACIER"),
            (rules[0].Prefix, rules[0].IsFiltered, rules[0].ExpiresAfter, rules[0].MovesTo.Single()));
        Assert.Equal(("", true, "", true), (rules[1].Prefix, rules[1].IsFiltered, rules[1].ExpiresAfter, rules[1].ExpiresOldVersions));
    }

    [Fact]
    public async Task A_real_service_is_asked_and_names_what_the_credentials_lack()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        await gateway.AllowOtherAsync(bucket.Bucket, "s3:PutObject", "s3:GetObject", "s3:ListBucket");
        var own = await GatherAsync(bucket);
        var other = await GatherAsync(bucket with { Credentials = CephGateway.Other });

        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(own), "destination", "put, get, list and delete work").Level);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(own), "destination", "its clock agrees with ours").Level);
        Assert.Equal("off", own.Bucket!.Versioning.Value);
        Assert.Equal([], own.Bucket.Lifecycle.Value!);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(other), "destination", "put, get and list work; delete is refused").Level);
        Assert.False(DoctorRig.Find(Judge(other), "destination", "whether a lifecycle rule deletes").Known);
        await CephGateway.Open(bucket).DeleteAsync(
            (await CephGateway.Open(bucket).ListAsync("", null, default).SingleAsync()).Key, default);
    }

    static Task<DestinationFacts> GatherAsync(S3Options options) => DestinationFacts.GatherAsync(
        new S3DestinationConfig { Name = "far", Options = options }, TimeProvider.System, new Random(1), TimeSpan.FromMinutes(1),
        TestContext.Current.CancellationToken);

    static S3BucketSettings Settings(IReadOnlyList<S3LifecycleRule> rules) => new(new("off", ""), new("off", ""), new(rules, ""));

    static IReadOnlyList<Check> Judge(DestinationFacts facts) => DestinationChecks.Judge(facts, databaseBytes: 0);

    static IReadOnlyList<Check> Judge(S3BucketSettings bucket) => Judge(new DestinationFacts
    {
        Config = new S3DestinationConfig { Name = "far", Options = new S3Options { Bucket = "acme", Prefix = "salvor" } }, Bucket = bucket,
    });
}
